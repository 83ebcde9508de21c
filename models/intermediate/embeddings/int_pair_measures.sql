{{ config(materialized='table') }}

with studies as (
    select * from {{ ref('stg_studies') }}
),

study_jobs as (
    select * from {{ ref('stg_study_jobs') }}
),

bli_means as (
    select * from {{ ref('int_bli_means') }}
),

isometry as (
    select * from {{ ref('stg_isometry') }}
),

study_distances as (
    select * from {{ ref('int_study_distances') }}
),

transfer_cells as (
    select * from {{ ref('int_transfer_cells') }}
),

bli as (
    select
        studies.study,
        bli_means.variant as embedding_variant,
        bli_means.vector_set,
        bli_means.source_language,
        bli_means.target_language,
        'bli_map' as measure,
        bli_means.map as value
    from bli_means
    inner join studies
        on bli_means.study = studies.embedding_study
        and lower(bli_means.method) = studies.bli_map_method
        and bli_means.retrieval = studies.bli_map_retrieval
        and bli_means.dictionary_size = coalesce(studies.bli_map_dictionary_size, bli_means.dictionary_size)
    qualify
        bli_means.dictionary_size
        = max(bli_means.dictionary_size) over (partition by studies.study, bli_means.variant, bli_means.vector_set)
),

embedding_variants as (
    select distinct
        study,
        embedding_variant,
        vector_set
    from bli
),

isometry_of_study as (
    select
        studies.study,
        isometry.vector_set,
        isometry.source_language,
        isometry.target_language,
        isometry.measure,
        {{ in_order('avg', 'isometry.value') }} as value
    from isometry
    inner join study_jobs on isometry.job_key = study_jobs.job_key
    inner join studies on study_jobs.study = studies.embedding_study
    group by all
),

-- Landed once for two languages, a measure serves both directions; landed for each, each keeps its own.
isometry_both_ways as (
    select * from isometry_of_study
    union all
    select
        isometry_of_study.study,
        isometry_of_study.vector_set,
        isometry_of_study.target_language as source_language,
        isometry_of_study.source_language as target_language,
        isometry_of_study.measure,
        isometry_of_study.value
    from isometry_of_study
    anti join isometry_of_study as reverse
        on isometry_of_study.study = reverse.study
        and isometry_of_study.vector_set = reverse.vector_set
        and isometry_of_study.measure = reverse.measure
        and isometry_of_study.source_language = reverse.target_language
        and isometry_of_study.target_language = reverse.source_language
),

-- Geometry is measured before mapping, whatever the variant.
geometry as (
    select
        isometry_both_ways.study,
        coalesce(embedding_variants.embedding_variant, 'default') as embedding_variant,
        isometry_both_ways.vector_set,
        isometry_both_ways.source_language,
        isometry_both_ways.target_language,
        isometry_both_ways.measure,
        isometry_both_ways.value
    from isometry_both_ways
    left join embedding_variants
        on isometry_both_ways.study = embedding_variants.study
        and isometry_both_ways.vector_set = embedding_variants.vector_set
),

embedding_measures as (
    select * from bli
    union all by name
    select * from geometry
),

transfer_by_model as (
    select
        study,
        variant,
        prompt_pool,
        model,
        source_language,
        target_language,
        {{ in_order('avg', 'delta_pp') }} as delta_pp
    from transfer_cells
    where control is null and regime = 'MT-CL' and delta_pp is not null and not is_mixture
    group by all
),

transfer as (
    select
        study,
        variant,
        prompt_pool,
        source_language,
        target_language,
        'transfer_pp' as measure,
        {{ in_order('avg', 'delta_pp') }} as value
    from transfer_by_model
    group by all
),

embedding_sides as (
    select distinct
        study,
        embedding_variant,
        vector_set
    from embedding_measures
),

transfer_sides as (
    select distinct
        study,
        variant,
        prompt_pool
    from transfer
),

-- Every way of tuning beside every way of embedding; either may be missing.
sides as (
    select
        studies.study,
        studies.origin,
        studies.embedding_study,
        coalesce(transfer_sides.variant, 'default') as variant,
        transfer_sides.prompt_pool,
        embedding_sides.embedding_variant,
        embedding_sides.vector_set
    from studies
    left join transfer_sides on studies.study = transfer_sides.study
    left join embedding_sides on studies.study = embedding_sides.study
    where transfer_sides.study is not null or embedding_sides.study is not null
),

measured as (
    select
        sides.*,
        embedding_measures.source_language,
        embedding_measures.target_language,
        embedding_measures.measure,
        embedding_measures.value
    from sides
    inner join embedding_measures
        on sides.study = embedding_measures.study
        and sides.embedding_variant = embedding_measures.embedding_variant
        and sides.vector_set = embedding_measures.vector_set
    union all
    select
        sides.*,
        transfer.source_language,
        transfer.target_language,
        transfer.measure,
        transfer.value
    from sides
    inner join transfer
        on sides.study = transfer.study
        and sides.variant = transfer.variant
        and sides.prompt_pool is not distinct from transfer.prompt_pool
),

pairs as (
    select distinct
        study,
        origin,
        embedding_study,
        variant,
        prompt_pool,
        embedding_variant,
        vector_set,
        source_language,
        target_language
    from measured
),

final as (
    select * from measured
    union all
    select
        pairs.*,
        study_distances.measure,
        study_distances.value
    from pairs
    inner join study_distances
        on pairs.study = study_distances.study
        and pairs.source_language = study_distances.source_language
        and pairs.target_language = study_distances.target_language
)

select * from final -- noqa: AM04
