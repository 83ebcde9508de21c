with contrast_rows as (
    select * from {{ ref('int_contrast_rows') }}
),

contrast_errors as (
    select * from {{ ref('int_contrast_errors') }}
),

contrasts as (
    select * from {{ ref('stg_contrasts') }}
),

studies as (
    select * from {{ ref('stg_studies') }}
),

labels as (
    select
        study,
        contrast,
    {%- for arm, other in (("a", "b"), ("b", "a")) %}
    concat_ws(
        ', ',
        {%- for key in ("variant", "model", "source", "prompt") %}
        case when {{ arm }}_{{ key }} != {{ other }}_{{ key }} then '{{ key }} ' || {{ arm }}_{{ key }} end,
        {%- endfor %}
        case when {{ arm }}_control != {{ other }}_control then {{ arm }}_control end
    ) as {{ arm }}_label{{ "," if not loop.last }}
    {%- endfor %}
    from contrasts
),

compared as (
    select
        statistic_number,
        study,
        contrast,
        any_value(origin) as origin,
        any_value(a_variant) as variant,
        any_value(a_prompt) as prompt,
        case when any_value(is_one_target) then any_value(target_task) end as target_task,
        case when any_value(is_one_target) then any_value(target_language) end as target_language,
        not any_value(is_one_target) as is_all_targets,
        any_value(is_trained_cell) as is_trained_cell,
        count(*) as n_pairs,
        count(distinct a_model) as n_models,
        count(distinct a_source) as n_sources,
        count(distinct row(target_task, target_language)) as n_targets,
        min(n_items) as n_items,
        avg(a_score) as a_score,
        avg(b_score) as b_score,
        avg(a_delta_pp) as a_delta_pp,
        avg(b_delta_pp) as b_delta_pp,
        avg(a_delta_pp - b_delta_pp) as difference_pp
    from contrast_rows
    group by statistic_number, study, contrast
),

standardised as (
    select
        compared.*,
        studies.harm_threshold_pp,
        contrast_errors.error_of,
        contrast_errors.standard_error,
        contrast_errors.degrees_of_freedom,
        compared.difference_pp / contrast_errors.standard_error as t,
        (compared.difference_pp + studies.harm_threshold_pp) / contrast_errors.standard_error as t_of_harm,
        contrast_errors.standard_error * {{ t_quantile_975('contrast_errors.degrees_of_freedom') }} as half_width
    from compared
    inner join studies on compared.study = studies.study
    left join contrast_errors on compared.statistic_number = contrast_errors.statistic_number
),

with_p as (
    select
        *,
        {{ two_sided_p('standardised.t', 'standardised.degrees_of_freedom') }} as p_value,
        {{ two_sided_p('standardised.t_of_harm', 'standardised.degrees_of_freedom') }} / 2 as p_of_distance
    from standardised
),

tested as (
    select
        *,
        case when t_of_harm < 0 then p_of_distance else 1 - p_of_distance end as harm_p_value
    from with_p
),

-- The targets of a contrast are a family; all of them together are another question.
{%- set family = "study, contrast, is_all_targets" %}

with_family as (
    select
        *,
        {{ tests_over_rank('p_value', family) }} as p_over_rank,
        {{ tests_over_rank('harm_p_value', family) }} as harm_p_over_rank
    from tested
),

adjusted as (
    select
        *,
        {{ adjusted_p('p_value', 'p_over_rank', family) }} as q_value,
        {{ adjusted_p('harm_p_value', 'harm_p_over_rank', family) }} as q_harm,
        difference_pp - half_width as ci_low,
        difference_pp + half_width as ci_high
    from with_family
),

final as (
    select
        adjusted.study,
        adjusted.origin,
        adjusted.contrast,
        labels.a_label as arm_a,
        labels.b_label as arm_b,
        adjusted.variant,
        adjusted.prompt,
        adjusted.target_task,
        adjusted.target_language,
        adjusted.is_trained_cell,
        adjusted.n_pairs,
        adjusted.n_models,
        adjusted.n_sources,
        adjusted.n_targets,
        cast(adjusted.n_items as bigint) as n_items,
        adjusted.a_score,
        adjusted.b_score,
        adjusted.a_delta_pp,
        adjusted.b_delta_pp,
        adjusted.difference_pp,
        adjusted.standard_error as difference_se,
        adjusted.ci_low,
        adjusted.ci_high,
        adjusted.p_value,
        adjusted.q_value,
        adjusted.harm_p_value as p_harm,
        adjusted.q_harm,
        {{ verdict(
            'adjusted.ci_low', 'adjusted.ci_high', 'adjusted.q_value', 'adjusted.q_harm', 'adjusted.harm_threshold_pp'
        ) }} as verdict,
        adjusted.error_of
    from adjusted
    inner join labels on adjusted.study = labels.study and adjusted.contrast = labels.contrast
)

select * from final
