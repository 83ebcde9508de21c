with cells as (
    select * from {{ ref('int_prediction_cells') }}
),

distances as (
    select * from {{ ref('int_study_distances') }}
),

measures as (
    select * from {{ ref('int_pair_measures') }}
    where measure != 'transfer_pp'
),

similarities as (
    select * from {{ ref('int_source_similarities') }}
),

lines as (
    select
        study,
        concat_ws(
            '|', variant, coalesce(prompt_pool, ''), model, coalesce(family, ''), coalesce(parameters, 0), source_task,
            source_language, target_task, target_language, coalesce(delta_pp, 'nan'), coalesce(delta_se, 'nan'),
            coalesce(baseline_score, 'nan')
        ) as said
    from cells
    union
    select
        study,
        concat_ws('|', source_language, target_language, measure, coalesce(round(value, 6), 'nan')) as said
    from distances
    union
    select
        study,
        concat_ws('|', source_language, target_language, measure, coalesce(round(value, 6), 'nan')) as said
    from measures
    union
    select
        study,
        concat_ws(
            '|', model, source_task, source_language, target_task, target_language, measure,
            coalesce(round(value, 6), 'nan')
        ) as said
    from similarities
),

final as (
    select
        study,
        sha256(string_agg(said, chr(10) order by said)) as digest
    from lines
    group by study
)

select * from final
