{{ config(materialized='table') }}

{%- set n_permutations = 4999 -%}
{%- set n_sweeps = 25 %}

with recursive pair_measures as (
    select * from {{ ref('int_pair_measures') }}
),

study_distances as (
    select * from {{ ref('int_study_distances') }}
),

{%- set side = "study, origin, embedding_study, variant, prompt_pool, embedding_variant, vector_set" %}

known as (
    select
        *,
        dense_rank() over (order by {{ side }}) as side_number
    from pair_measures
    where source_language != target_language and value is not null
),

-- Pairs of a source and another target: transfer y beside one measure x.
points as (
    select
        measures.* exclude (value), -- noqa: RF02
        dense_rank() over (order by measures.side_number, measures.measure) as series_number,
        measures.value as x,
        transfer.value as y
    from known as measures
    inner join known as transfer
        on measures.side_number = transfer.side_number
        and measures.source_language = transfer.source_language
        and measures.target_language = transfer.target_language
    where measures.measure != 'transfer_pp' and transfer.measure = 'transfer_pp'
),

-- What sources and targets leave of both: their means are taken off in turn, which converges to least squares.
sweeps as (
    select
        0 as sweep,
        series_number,
        source_language,
        target_language,
        x,
        y
    from points
    union all
    select
        sweep + 1 as sweep,
        series_number,
        source_language,
        target_language,
        x - avg(x order by x) over (partition by series_number, target_language) as x,
        y - avg(y order by y) over (partition by series_number, target_language) as y
    from (
        select
            sweep,
            series_number,
            source_language,
            target_language,
            x - avg(x order by x) over (partition by series_number, source_language) as x,
            y - avg(y order by y) over (partition by series_number, source_language) as y
        from sweeps
        where sweep < {{ n_sweeps }}
    ) as without_sources
),

residuals as (
    select * from sweeps
    where sweep = {{ n_sweeps }}
),

languages_of_series as (
    select
        series_number,
        unnest(list_distinct(list_concat(list(source_language), list(target_language)))) as language
    from points
    group by series_number
),

{{ language_layout() }}

scales as (
    select
        series_number,
        {{ in_order('stddev_pop', 'x') }} as x_scale,
        {{ in_order('stddev_pop', 'y') }} as y_scale
    from points
    group by series_number
),

-- Rounding is no variation.
fitted as (
    select
        residuals.series_number,
        {{ in_order('sum', 'residuals.x * residuals.y') }} as xy,
        {{ in_order('sum', 'residuals.x * residuals.x') }} as xx,
        {{ in_order('sum', 'residuals.y * residuals.y') }} as yy,
        count(*) as n_pairs,
        xx > 1e-12 * count(*) * pow(any_value(scales.x_scale), 2)
        and yy > 1e-12 * count(*) * pow(any_value(scales.y_scale), 2) as varies
    from residuals
    inner join scales on residuals.series_number = scales.series_number
    group by residuals.series_number
),

described as (
    select
        points.series_number,
        points.side_number,
        {%- for column in side.split(", ") %}
        any_value(points.{{ column }}) as {{ column }},
        {%- endfor %}
        points.measure,
        count(distinct points.source_language) as n_sources,
        count(distinct points.target_language) as n_targets,
        any_value(languages.n_languages) as n_languages
    from points
    inner join languages
        on points.series_number = languages.series_number
        and points.source_language = languages.language
    group by points.series_number, points.side_number, points.measure
),

tested as (
    select
        described.*,
        fitted.xy,
        fitted.xx,
        fitted.yy,
        fitted.n_pairs,
        described.n_languages >= 5 and fitted.varies as is_tested
    from described
    inner join fitted on described.series_number = fitted.series_number
),

-- The measure of every two languages, whether or not they are a source and its target: a permutation asks for them.
measures_of_series as (
    select
        tested.series_number,
        known.source_language,
        known.target_language,
        known.value
    from tested
    inner join known
        on tested.side_number = known.side_number
        and tested.measure = known.measure
    union
    select
        tested.series_number,
        study_distances.source_language,
        study_distances.target_language,
        study_distances.value
    from tested
    inner join study_distances
        on tested.study = study_distances.study
        and tested.measure = study_distances.measure
    where study_distances.value is not null
),

filled as (
    select
        layout.series_number,
        layout.n_languages,
        layout.language_number,
        layout.other_number,
        case when measures_of_series.value is not null then 1.0 else 0.0 end as x_is_known,
        coalesce(measures_of_series.value, 0) as x,
        case when residuals.y is not null then 1.0 else 0.0 end as y_is_known,
        coalesce(residuals.y, 0) as y
    from layout
    inner join tested on layout.series_number = tested.series_number
    left join measures_of_series
        on layout.series_number = measures_of_series.series_number
        and layout.language = measures_of_series.source_language
        and layout.other_language = measures_of_series.target_language
        and layout.language != layout.other_language
    left join residuals
        on layout.series_number = residuals.series_number
        and layout.language = residuals.source_language
        and layout.other_language = residuals.target_language
    where tested.is_tested
),

series as (
    select
        series_number,
        n_languages as n_units,
        n_languages as n_columns,
        list(cast(x as double) order by language_number, other_number) as x,
        list(cast(y as double) order by language_number, other_number) as y,
        list(cast(x_is_known as double) order by language_number, other_number) as x_is_known,
        list(cast(y_is_known as double) order by language_number, other_number) as y_is_known
    from filled
    group by series_number, n_languages
),

{{ language_permutations(n_permutations) }}

{{ permutation_test(n_permutations) }}

-- The slope, and what is correlated under a permutation, have the same numerator: sources and targets are out of y.
final as (
    select
        {%- for column in side.split(", ") %}
        tested.{{ column }},
        {%- endfor %}
        tested.measure,
        case when tested.is_tested then tested.xy / tested.xx end as slope_pp,
        case when tested.is_tested then tested.xy / sqrt(tested.xx * tested.yy) end as correlation, -- noqa: RF04
        case when tested.is_tested then permutation_test.p_value end as p_value,
        tested.n_sources,
        tested.n_targets,
        tested.n_languages,
        tested.n_pairs
    from tested
    left join permutation_test on tested.series_number = permutation_test.series_number
)

select * from final
