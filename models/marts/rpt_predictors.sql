with units as (
    select * from {{ ref('int_predictor_units') }}
),

studies as (
    select * from {{ ref('stg_studies') }}
),

{%- set measures = ["ndcg_3", "regret_1", "rank_correlation"] %}
{%- set unit = "study, variant, prompt, model, target_task, target_language" %}
{%- set judged = "study, variant, prompt, predictor, measure" %}

valued as (
    select
        {{ unit }},
        predictor,
        unnest({{ measures }}) as measure,
        unnest([{{ measures | join(", ") }}]) as value
    from units
),

of_random as (
    select * from valued
    where predictor = 'random'
),

with_random as (
    select
        valued.*,
        case
            when valued.predictor != 'random' then valued.value - coalesce(of_random.value, 0)
        end as beyond_random
    from valued
    left join of_random
        on valued.study = of_random.study
        and valued.variant = of_random.variant
        and valued.prompt is not distinct from of_random.prompt
        and valued.model = of_random.model
        and valued.target_task = of_random.target_task
        and valued.target_language = of_random.target_language
        and valued.measure = of_random.measure
    where valued.value is not null
),

centered as (
    select
        *,
        (value - {{ in_order_over('avg', 'value', 'of_measure') }}) / count(*) over of_measure as deviation,
        (beyond_random - {{ in_order_over('avg', 'beyond_random', 'of_measure') }}) / count(*) over of_measure
            as deviation_beyond
    from with_random
    window of_measure as (partition by {{ judged }})
),

-- Models and languages are both drawn from more: errors of what shares either are one (Cameron, Gelbach & Miller 2011).
clusters as (
    select
        {{ judged }},
        case grouping(model, target_language) when 1 then 'model' when 2 then 'language' else 'both' end as kind,
        {{ in_order('sum', 'deviation') }} as deviation,
        {{ in_order('sum', 'deviation_beyond') }} as deviation_beyond
    from centered
    group by grouping sets (
        ({{ judged }}, model),
        ({{ judged }}, target_language),
        ({{ judged }}, model, target_language)
    )
),

by_kind as (
    select
        {{ judged }},
        kind,
        count(*) as n_clusters,
        count(*) / nullif(count(*) - 1, 0) as correction,
        correction * {{ in_order('sum', 'pow(deviation, 2)') }} as variance,
        correction * {{ in_order('sum', 'pow(deviation_beyond, 2)') }} as variance_beyond
    from clusters
    group by {{ judged }}, kind
),

errors as (
    select
        {{ judged }},
        max(n_clusters) filter (where kind = 'model') as n_models,
        max(n_clusters) filter (where kind = 'language') as n_languages,
        min(n_clusters) filter (where kind != 'both' and n_clusters > 1) - 1 as degrees,
        case when degrees > 0 then {{ t_quantile_975('degrees') }} end as quantile,
        quantile * sqrt({{ variance_both_ways('variance') }}) as half_width,
        quantile * sqrt({{ variance_both_ways('variance_beyond') }}) as half_width_beyond
    from by_kind
    group by {{ judged }}
),

means as (
    select
        {{ judged }},
        count(*) as n_units,
        {{ in_order('avg', 'value') }} as value,
        {{ in_order('avg', 'beyond_random') }} as beyond_random
    from with_random
    group by {{ judged }}
),

final as (
    select
        means.study,
        studies.origin,
        means.variant,
        means.prompt,
        means.predictor,
        means.measure,
        means.value,
        means.value - errors.half_width as ci_low,
        means.value + errors.half_width as ci_high,
        means.beyond_random,
        means.beyond_random - errors.half_width_beyond as beyond_random_low,
        means.beyond_random + errors.half_width_beyond as beyond_random_high,
        means.n_units,
        errors.n_models,
        errors.n_languages
    from means
    inner join errors
        on means.study = errors.study
        and means.variant = errors.variant
        and means.prompt is not distinct from errors.prompt
        and means.predictor = errors.predictor
        and means.measure = errors.measure
    inner join studies on means.study = studies.study
)

select * from final
