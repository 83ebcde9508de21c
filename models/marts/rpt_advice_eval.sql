with advice as (
    select * from {{ ref('int_advice') }}
),

role_grid as (
    select * from {{ ref('int_role_grid') }}
),

cell_halves as (
    select * from {{ ref('int_cell_halves') }}
),

models as (
    select * from {{ ref('stg_models') }}
),

studies as (
    select * from {{ ref('stg_studies') }}
),

-- What each source did to a model left out, on all items and on either half of them.
outcomes as (
    select
        role_grid.study,
        role_grid.variant,
        role_grid.prompt_pool,
        role_grid.model,
        models.family,
        role_grid.source_task,
        role_grid.source_language,
        role_grid.target_task,
        role_grid.target_language,
        role_grid.delta_pp,
        cell_halves.first_delta_pp,
        cell_halves.second_delta_pp
    from role_grid
    left join cell_halves on role_grid.cell_number = cell_halves.cell_number
    left join models on role_grid.model = models.model
    where role_grid.scope = 'all' and role_grid.is_in_complete_grid and role_grid.regime != 'MT-ML'
),

{%- set case_of = "study, variant, prompt_pool, held_out_kind, held_out, model, target_task, target_language" %}

-- The sources of one target before a model left out.
candidates as (
    select
        advice.study,
        advice.variant,
        advice.prompt_pool,
        advice.held_out_kind,
        advice.held_out,
        outcomes.model,
        advice.target_task,
        advice.target_language,
        advice.source_task,
        advice.source_language,
        advice.rank,
        -- Ties of outcomes are broken by a digest, which favours no recommender.
        md5_number_lower(advice.source_task || '/' || advice.source_language) as source_digest,
        outcomes.delta_pp,
        outcomes.first_delta_pp,
        outcomes.second_delta_pp
    from advice
    inner join outcomes
        on advice.study = outcomes.study
        and advice.variant = outcomes.variant
        and advice.prompt_pool is not distinct from outcomes.prompt_pool
        and advice.source_task = outcomes.source_task
        and advice.source_language = outcomes.source_language
        and advice.target_task = outcomes.target_task
        and advice.target_language = outcomes.target_language
        and case advice.held_out_kind when 'model' then outcomes.model when 'family' then outcomes.family end
        = advice.held_out
),

numbered as (
    select
        *,
        dense_rank() over (order by {{ case_of }}) as case_number
    from candidates
),

cases as (
    select distinct
        case_number,
        {{ case_of }}
    from numbered
),

placed as (
    select
        case_number,
        source_language = target_language as is_same_language,
        source_task = target_task as is_same_task,
        source_language = 'en' as is_english,
        delta_pp,
        first_delta_pp,
        second_delta_pp,
        row_number() over (partition by case_number order by rank, source_task, source_language) as advised_place,
        row_number() over (partition by case_number order by delta_pp desc, source_digest asc) as place,
        row_number() over (partition by case_number order by first_delta_pp desc, source_digest asc) as first_place,
        row_number() over (partition by case_number order by second_delta_pp desc, source_digest asc) as second_place
    from numbered
),

-- Sources of equal preference are tried in random order; within 'advice' none are equal.
preferred as (
    select
        * exclude (advised_place, is_same_language, is_same_task, is_english),
        unnest(['advice', 'same_language', 'same_task', 'english', 'random']) as recommender,
        unnest([
            advised_place, if(is_same_language, 1, 2), if(is_same_task, 1, 2), if(is_english, 1, 2), 1
        ]) as preference
    from placed
),

ranked as (
    select
        *,
        rank() over (partition by case_number, recommender order by preference) - 1 as n_preferred,
        count(*) over (partition by case_number, recommender, preference) as n_equal
    from preferred
),

sizes as (
    select unnest([1, 3]) as k
),

-- The first k: sources surely among them, and n_drawn of n_equal at random.
tried as (
    select
        ranked.*,
        sizes.k,
        ranked.n_preferred + ranked.n_equal <= sizes.k as is_sure,
        ranked.n_preferred < sizes.k and ranked.n_preferred + ranked.n_equal > sizes.k as is_drawn,
        sizes.k - ranked.n_preferred as n_drawn
    from ranked
    cross join sizes
),

{%- set trial = "case_number, recommender, k" %}

drawn as (
    select
        *,
        max(n_equal) filter (where is_drawn) over (partition by {{ trial }}) as n_in_draw,
        max(n_drawn) filter (where is_drawn) over (partition by {{ trial }}) as n_to_draw
    from tried
),

-- Each half of the items in turn chooses, and the other scores. Whatever is not tried matters only as the oracle's.
by_half as (
    select
        * exclude (first_place, second_place, first_delta_pp, second_delta_pp),
        unnest([1, 2]) as half,
        unnest([first_place, second_place]) as chosen_place,
        unnest([second_delta_pp, first_delta_pp]) as scored_delta_pp
    from drawn
),

concerned as (
    select * from by_half
    where is_sure or is_drawn or chosen_place = 1
),

compared as (
    select
        *,
        min(chosen_place) filter (where is_sure) over (partition by {{ trial }}, half) as best_sure_place,
        count(*) filter (where is_drawn) over (
            partition by {{ trial }}, half
            order by chosen_place desc
            rows between unbounded preceding and 1 preceding
        ) as n_worse
    from concerned
),

-- How likely a source is the best of those tried: all others that are drawn must be worse.
judged as (
    select
        *,
        case
            when is_drawn and coalesce(chosen_place < best_sure_place, true)
                then {{ choose('n_worse', '(n_drawn - 1)') }} / {{ choose('n_equal', 'n_drawn') }}
            when is_sure and chosen_place = best_sure_place
                then coalesce({{ choose('n_worse', 'n_to_draw') }} / {{ choose('n_in_draw', 'n_to_draw') }}, 1)
            else 0
        end as chance
    from compared
),

regrets as (
    select
        {{ trial }},
        case
            when count(scored_delta_pp) = count(*)
                then {{ in_order('sum', '(cast(chosen_place = 1 as integer) - chance) * scored_delta_pp') }} / 2
        end as regret
    from judged
    group by all
),

{#- Summed over the first 0, 1, 2 and 3 places. #}
{%- set discounts = "[0, 1, 1 + 1 / log2(3), 1 + 1 / log2(3) + 1 / log2(4)]" %}

-- A source stands at any place of its equals alike.
discounted as (
    select
        *,
        {{ discounts }}[least(n_preferred + n_equal, k) + 1] - {{ discounts }}[least(n_preferred, k) + 1] as discount
    from tried
),

gains as (
    select
        {{ trial }},
        bool_or(preference = 1) as has_preferred,
        {{ in_order('sum', 'greatest(delta_pp, 0) / n_equal * discount') }} as gain,
        {{ in_order('sum', 'greatest(delta_pp, 0) / log2(place + 1)', 'place <= k') }} as ideal_gain
    from discounted
    group by all
),

final as (
    select
        cases.study,
        studies.origin,
        cases.variant,
        cases.prompt_pool as prompt,
        cases.prompt_pool,
        gains.recommender,
        cases.held_out_kind,
        cases.held_out,
        cast(gains.k as bigint) as k,
        {{ in_order('avg', 'regrets.regret') }} as regret,
        {{ in_order('avg', 'gains.gain / nullif(gains.ideal_gain, 0)') }} as ndcg,
        count(*) as n_targets
    from gains
    inner join regrets
        on gains.case_number = regrets.case_number
        and gains.recommender = regrets.recommender
        and gains.k = regrets.k
    inner join cases on gains.case_number = cases.case_number
    inner join studies on cases.study = studies.study
    group by all
    having bool_or(gains.has_preferred)
)

select * from final
