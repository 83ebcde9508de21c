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
        {{ in_order('avg', 'a_score') }} as a_score,
        {{ in_order('avg', 'b_score') }} as b_score,
        {{ in_order('avg', 'a_delta_pp') }} as a_delta_pp,
        {{ in_order('avg', 'b_delta_pp') }} as b_delta_pp,
        {{ in_order('avg', 'a_delta_pp - b_delta_pp') }} as difference_pp
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

tested as (
    select
        *,
        difference_pp - half_width as ci_low,
        difference_pp + half_width as ci_high,
        {{ two_sided_p('standardised.t', 'standardised.degrees_of_freedom') }} as p_value,
        {{ harm_p(two_sided_p('standardised.t_of_harm', 'standardised.degrees_of_freedom'), 't_of_harm') }} as p_harm
    from standardised
),

-- The targets of a contrast are a family; all of them together are another question.
adjusted as (
    {{ false_discovery_rates(
        'tested', 'study, contrast, is_all_targets', {'p_value': 'q_value', 'p_harm': 'q_harm'}
    ) }}
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
        adjusted.p_harm,
        adjusted.q_harm,
        {{ verdict('adjusted') }} as verdict,
        adjusted.error_of
    from adjusted
    inner join labels on adjusted.study = labels.study and adjusted.contrast = labels.contrast
)

select * from final
