{%- set n_permutations = 4999 -%}

with pair_parts as (
    select * from {{ ref('int_pair_parts') }}
),

regressions as (
    select * from {{ ref('int_pair_regressions') }}
),

{%- set subject = "study, origin, embedding_study, variant, prompt_pool, embedding_variant, vector_set, measure" %}

numbered as (
    select
        *,
        dense_rank() over (order by {{ subject }}, part) as series_number
    from pair_parts
),

languages_of_series as (
    select distinct
        series_number,
        language
    from numbered
),

{{ language_layout() }}

-- Tied values share their mean rank.
ranked as (
    select
        *,
        rank() over (partition by series_number order by measure_value)
        + (count(*) over (partition by series_number, measure_value) - 1) / 2 as measure_rank,
        rank() over (partition by series_number order by transfer_value)
        + (count(*) over (partition by series_number, transfer_value) - 1) / 2 as transfer_rank
    from numbered
),

correlated as (
    select
        series_number,
        {{ subject }},
        part,
        len(list_distinct(list(language))) as n_languages,
        {{ in_order('var_pop', 'transfer_value') }} as transfer_variance,
        case
            when count(distinct measure_rank) > 1 and count(distinct transfer_rank) > 1 and n_languages >= 5
                then corr(measure_rank, transfer_rank order by measure_rank, transfer_rank)
        end as spearman
    from ranked
    group by all
),

filled as (
    select
        layout.series_number,
        layout.n_languages,
        layout.language_number,
        layout.other_number,
        case when ranked.series_number is null then 0.0 else 1.0 end as is_known,
        coalesce(ranked.measure_rank, 0) as measure_rank,
        coalesce(ranked.transfer_rank, 0) as transfer_rank
    from layout
    left join ranked
        on layout.series_number = ranked.series_number
        and layout.language = ranked.language
        and layout.other_language = ranked.other_language
),

series as (
    select
        series_number,
        n_languages as n_units,
        n_languages as n_columns,
        list(cast(is_known as double) order by language_number, other_number) as x_is_known,
        x_is_known as y_is_known,
        list(measure_rank order by language_number, other_number) as x,
        list(transfer_rank order by language_number, other_number) as y
    from filled
    group by all
),

{{ language_permutations(n_permutations) }}

{{ permutation_test(n_permutations) }}

parts as (
    select
        correlated.*,
        case when correlated.spearman is not null then permutation_test.p_value end as p_value
    from correlated
    left join permutation_test on correlated.series_number = permutation_test.series_number
),

both_parts as (
    select
        symmetric_part.study,
        symmetric_part.origin,
        symmetric_part.embedding_study,
        symmetric_part.variant,
        symmetric_part.prompt_pool,
        symmetric_part.embedding_variant,
        symmetric_part.vector_set,
        symmetric_part.measure,
        symmetric_part.spearman,
        symmetric_part.p_value,
        symmetric_part.n_languages,
        antisymmetric_part.spearman as antisymmetric_spearman,
        antisymmetric_part.p_value as antisymmetric_p_value,
        antisymmetric_part.transfer_variance
        / nullif(antisymmetric_part.transfer_variance + symmetric_part.transfer_variance, 0) as antisymmetric_share
    from parts as symmetric_part
    left join parts as antisymmetric_part
        on symmetric_part.study = antisymmetric_part.study
        and symmetric_part.embedding_study = antisymmetric_part.embedding_study
        and symmetric_part.variant = antisymmetric_part.variant
        and symmetric_part.prompt_pool is not distinct from antisymmetric_part.prompt_pool
        and symmetric_part.embedding_variant is not distinct from antisymmetric_part.embedding_variant
        and symmetric_part.vector_set is not distinct from antisymmetric_part.vector_set
        and symmetric_part.measure = antisymmetric_part.measure
        and antisymmetric_part.part = 'antisymmetric'
    where symmetric_part.part = 'symmetric'
),

-- Where no two languages are each other's source and target, the regression is all there is.
final as (
    select
        coalesce(both_parts.study, regressions.study) as study,
        coalesce(both_parts.origin, regressions.origin) as origin,
        coalesce(both_parts.embedding_study, regressions.embedding_study) as embedding_study,
        coalesce(both_parts.variant, regressions.variant) as variant,
        coalesce(both_parts.prompt_pool, regressions.prompt_pool) as prompt,
        coalesce(both_parts.prompt_pool, regressions.prompt_pool) as prompt_pool,
        coalesce(both_parts.embedding_variant, regressions.embedding_variant) as embedding_variant,
        coalesce(both_parts.vector_set, regressions.vector_set) as vectors,
        coalesce(both_parts.measure, regressions.measure) as measure,
        both_parts.spearman,
        both_parts.p_value,
        cast(coalesce(both_parts.n_languages, 0) as bigint) as n_languages,
        both_parts.antisymmetric_spearman,
        both_parts.antisymmetric_p_value,
        both_parts.antisymmetric_share,
        regressions.slope_pp as regression_slope_pp,
        regressions.correlation as regression_correlation,
        regressions.p_value as regression_p_value,
        regressions.n_sources as regression_n_sources,
        regressions.n_targets as regression_n_targets,
        regressions.n_languages as regression_n_languages,
        regressions.n_pairs as regression_n_pairs
    from both_parts
    full outer join regressions
        on both_parts.study = regressions.study
        and both_parts.embedding_study = regressions.embedding_study
        and both_parts.variant = regressions.variant
        and both_parts.prompt_pool is not distinct from regressions.prompt_pool
        and both_parts.embedding_variant is not distinct from regressions.embedding_variant
        and both_parts.vector_set is not distinct from regressions.vector_set
        and both_parts.measure = regressions.measure
)

select * from final
