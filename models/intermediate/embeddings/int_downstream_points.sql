{{ config(materialized='table') }}

with bli as (
    select * from {{ ref('fct_bli') }}
),

downstream as (
    select * from {{ ref('fct_downstream') }}
),

bli_means as (
    select
        study,
        variant,
        vectors,
        method,
        dictionary_size,
        source_language,
        target_language,
        retrieval,
        {{ in_order('avg', 'map') }} as map
    from bli
    where not clean
    group by all
),

-- CSLS where a study has it.
bli_of_pair as (
    select * from bli_means
    qualify row_number() over (
        partition by study, variant, vectors, method, dictionary_size, source_language, target_language
        order by retrieval != 'csls', retrieval
    ) = 1
),

paired as (
    select
        downstream.study,
        downstream.variant,
        downstream.task,
        downstream.collection,
        downstream.classifier,
        downstream.vectors,
        downstream.source_language,
        downstream.target_language,
        downstream.method,
        downstream.dictionary_size,
        bli_of_pair.map,
        downstream.score
    from downstream
    inner join bli_of_pair
        on downstream.study = bli_of_pair.study
        and downstream.variant = bli_of_pair.variant
        and downstream.vectors = bli_of_pair.vectors
        and downstream.method = bli_of_pair.method
        and downstream.dictionary_size = bli_of_pair.dictionary_size
        and downstream.source_language = bli_of_pair.source_language
        and downstream.target_language = bli_of_pair.target_language
    where downstream.metric != 'macro_f1' and downstream.score is not null and bli_of_pair.map is not null
),

{%- set pair = "study, variant, task, collection, classifier, vectors, source_language, target_language" %}

-- A pair with one method has nothing to compare.
centred as (
    select
        *,
        map - avg(map order by map) over (partition by {{ pair }}) as map_residual,
        score - avg(score order by score) over (partition by {{ pair }}) as score_residual
    from paired
    qualify count(*) over (partition by {{ pair }}) > 1
),

final as (
    select
        study,
        variant,
        task,
        vectors,
        source_language,
        target_language,
        method,
        dictionary_size,
        round({{ in_order('avg', 'map_residual') }}, 12) as map_residual,
        round({{ in_order('avg', 'score_residual') }}, 12) as score_residual
    from centred
    group by all
)

select * from final
