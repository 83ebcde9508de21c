with mixture_rows as (
    select * from {{ ref('int_mixture_rows') }}
),

comparisons as (
    select * from {{ ref('int_mixture_comparisons') }}
),

mixture_errors as (
    select * from {{ ref('int_mixture_errors') }}
),

described as (
    select
        mixture_row,
        any_value(study) as study,
        any_value(origin) as origin,
        any_value(variant) as variant,
        any_value(prompt_pool) as prompt_pool,
        any_value(source) as source, -- noqa: RF04
        any_value(scope) as scope,
        case when any_value(is_one_target) then any_value(target_task) end as target_task,
        case when any_value(is_one_target) then any_value(target_language) end as target_language,
        case when any_value(is_one_target) then any_value(regime) end as regime,
        not any_value(is_one_target) as is_all_targets,
        any_value(is_trained_cell) as is_trained_cell,
        array_to_string(list_sort(list(distinct part)), ' + ') as parts,
        count(distinct part) as n_parts,
        count(distinct model) as n_models,
        count(distinct row(target_task, target_language)) as n_targets,
        cast(min(n_items) as bigint) as n_items
    from mixture_rows
    group by mixture_row
),

with_errors as (
    select
        comparisons.*,
        described.n_parts,
        mixture_errors.error_of,
        mixture_errors.standard_error,
        mixture_errors.degrees_of_freedom,
        comparisons.difference_pp / mixture_errors.standard_error as t,
        {{ two_sided_p('t', 'mixture_errors.degrees_of_freedom') }} as p_value
    from comparisons
    inner join described on comparisons.mixture_row = described.mixture_row
    left join mixture_errors on comparisons.statistic_number = mixture_errors.statistic_number
),

-- Which part is best is seen in the same answers. To be above the best is to be above each of them, so the lower bound
-- is the lowest, and p the largest; the upper bound is the lowest of bounds that hold for all parts together.
over_best as (
    select
        mixture_row,
        arg_max(part, (round(other_pp, 9), part)) as best_part,
        max(other_pp) as best_part_pp,
        min(difference_pp) as over_best_pp,
        any_value(error_of) as error_of,
        case
            when count(standard_error) = count(*)
                then min(difference_pp - standard_error * {{ t_quantile_975('degrees_of_freedom') }})
        end as over_best_low,
        case
            when count(standard_error) = count(*)
                then min(difference_pp + standard_error * {{ t_quantile_of('degrees_of_freedom', 'n_parts') }})
        end as over_best_high,
        case
            when count(standard_error) = count(*) then max(case when t > 0 then p_value / 2 else 1 - p_value / 2 end)
        end as p_over_best
    from with_errors
    where part is not null
    group by mixture_row
),

over_added as (
    select
        mixture_row,
        other_pp as added_pp,
        difference_pp as over_added_pp,
        standard_error as over_added_se,
        difference_pp - standard_error * {{ t_quantile_975('degrees_of_freedom') }} as over_added_low,
        difference_pp + standard_error * {{ t_quantile_975('degrees_of_freedom') }} as over_added_high,
        p_value as p_over_added
    from with_errors
    where part is null
),

joined as (
    select
        described.*,
        over_best.* exclude (mixture_row), -- noqa: RF02
        over_added.* exclude (mixture_row) -- noqa: RF02
    from described
    inner join over_best on described.mixture_row = over_best.mixture_row
    inner join over_added on described.mixture_row = over_added.mixture_row
),

-- The targets of a mixture are a family; all of them together are another question.
adjusted as (
    {{ false_discovery_rates(
        'joined', 'study, variant, prompt_pool, source, scope, is_all_targets',
        {'p_over_best': 'q_over_best', 'p_over_added': 'q_over_added'}
    ) }}
),

final as (
    select
        study,
        origin,
        variant,
        prompt_pool as prompt,
        source,
        parts,
        scope,
        target_task,
        target_language,
        regime,
        is_trained_cell,
        n_parts,
        n_models,
        n_targets,
        n_items,
        added_pp + over_added_pp as delta_pp,
        best_part,
        best_part_pp,
        over_best_pp,
        over_best_low,
        over_best_high,
        p_over_best,
        q_over_best,
        coalesce(over_best_low > 0 and q_over_best <= 0.05, false) as is_above_best,
        added_pp,
        over_added_pp,
        over_added_se,
        over_added_low,
        over_added_high,
        p_over_added,
        q_over_added,
        error_of
    from adjusted
)

select * from final
