with cell_items as (
    select * from {{ ref('int_cell_items') }}
),

transfer_cells as (
    select * from {{ ref('int_transfer_cells') }}
),

parallel_items as (
    select * from {{ ref('int_parallel_items') }}
),

-- An adapter is a model tuned on a source, over its seeds. What it does to its own cell is another matter.
cells as (
    select
        study,
        origin,
        variant,
        prompt_pool,
        model,
        target_task,
        target_language,
        cell_number,
        dense_rank() over (order by study, variant, prompt_pool, model, source_task, source_language) as adapter_number
    from transfer_cells
    where control is null and regime != 'MT-ML' and cell_number is not null and not is_mixture
),

-- Answers that an adapter could lose, as the base model had them right, and those that it did; likewise of gains.
by_adapter as (
    select
        cells.study,
        cells.variant,
        cells.prompt_pool,
        cells.target_task,
        cell_items.parallel_number,
        cells.adapter_number,
        any_value(cells.origin) as origin,
        any_value(cells.model) as model,
        coalesce(sum(cell_items.n_seeds) filter (where cell_items.baseline_correct = 1), 0) as n_right,
        coalesce(sum(cell_items.n_seeds - cell_items.n_correct) filter (where cell_items.baseline_correct = 1), 0)
            as n_lost,
        coalesce(sum(cell_items.n_seeds) filter (where cell_items.baseline_correct = 0), 0) as n_wrong,
        coalesce(sum(cell_items.n_correct) filter (where cell_items.baseline_correct = 0), 0) as n_gained
    from cell_items
    inner join cells on cell_items.cell_number = cells.cell_number
    where cell_items.baseline_correct is not null
    group by
        cells.study, cells.variant, cells.prompt_pool, cells.target_task, cell_items.parallel_number,
        cells.adapter_number
),

by_item as (
    select
        study,
        origin,
        variant,
        prompt_pool,
        target_task,
        parallel_number,
        count(distinct model) as n_models,
        count(*) as n_adapters,
        cast(count_if(n_right > 0) as bigint) as n_could_lose,
        cast(count_if(2 * n_lost > n_right) as bigint) as n_losing,
        cast(count_if(n_wrong > 0) as bigint) as n_could_gain,
        cast(count_if(2 * n_gained > n_wrong) as bigint) as n_gaining,
        cast(sum(n_right + n_wrong) as bigint) as n_answers,
        100 * sum(n_lost) / nullif(sum(n_right), 0) as loss_pct,
        100 * sum(n_gained) / nullif(sum(n_wrong), 0) as gain_pct,
        100 * sum(n_gained - n_lost) / sum(n_right + n_wrong) as delta_pp
    from by_adapter
    group by all
),

-- P(X >= k), X binomial with probability one half, of the counts that occur.
counts as (
    select
        n_could_lose as n,
        n_losing as k
    from by_item
    union
    select
        n_could_gain as n,
        n_gaining as k
    from by_item
),

terms as (
    select
        n,
        k,
        unnest(range(k, n + 1)) as i
    from counts
),

probabilities as (
    select
        *,
        exp(lgamma(n + 1) - lgamma(i + 1) - lgamma(n - i + 1) - n * ln(2)) as probability
    from terms
),

tails as (
    select
        n,
        k,
        least(1, {{ in_order('sum', 'probability') }}) as p_value
    from probabilities
    group by n, k
),

with_p as (
    select
        by_item.*,
        case when by_item.n_could_lose > 0 then losing.p_value end as p_lost,
        case when by_item.n_could_gain > 0 then gaining.p_value end as p_gained
    from by_item
    inner join tails as losing on by_item.n_could_lose = losing.n and by_item.n_losing = losing.k
    inner join tails as gaining on by_item.n_could_gain = gaining.n and by_item.n_gaining = gaining.k
),

-- The items of a study under one variant and prompt are a family, losses and gains apart.
adjusted as (
    {{ false_discovery_rates(
        'with_p', 'study, variant, prompt_pool', {'p_lost': 'q_lost', 'p_gained': 'q_gained'}
    ) }}
),

-- What an item is called: by its parallel id, or, where it has no translations, by itself.
names as (
    select
        study,
        target_task,
        parallel_number,
        any_value(parallel_id) as parallel_id,
        case when any_value(parallel_id) is null then any_value(target_language) end as target_language,
        case when any_value(parallel_id) is null then any_value(item_id) end as item_id,
        count(distinct target_language) as n_languages
    from parallel_items
    group by study, target_task, parallel_number
),

final as (
    select
        adjusted.study,
        adjusted.origin,
        adjusted.variant,
        adjusted.prompt_pool as prompt,
        adjusted.prompt_pool,
        adjusted.target_task,
        names.parallel_id,
        names.target_language,
        names.item_id,
        names.n_languages,
        adjusted.n_models,
        adjusted.n_adapters,
        adjusted.n_answers,
        adjusted.delta_pp,
        adjusted.n_could_lose,
        adjusted.n_losing,
        adjusted.loss_pct,
        adjusted.p_lost,
        adjusted.q_lost,
        coalesce(adjusted.q_lost <= 0.05, false) as is_lost_by_most,
        adjusted.n_could_gain,
        adjusted.n_gaining,
        adjusted.gain_pct,
        adjusted.p_gained,
        adjusted.q_gained,
        coalesce(adjusted.q_gained <= 0.05, false) as is_gained_by_most
    from adjusted
    inner join names
        on adjusted.study = names.study
        and adjusted.target_task = names.target_task
        and adjusted.parallel_number = names.parallel_number
)

select * from final
