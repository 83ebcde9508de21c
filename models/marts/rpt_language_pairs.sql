{%- set measures = [
    'eigenvector_similarity', 'relational_similarity', 'gromov_hausdorff', 'effective_condition',
    'syntactic', 'phonological', 'inventory', 'geographic', 'genetic', 'featural',
] -%}

with pair_measures as (
    select * from {{ ref('int_pair_measures') }}
),

final as (
    select
        study,
        origin,
        embedding_study,
        variant,
        prompt_pool as prompt,
        prompt_pool,
        embedding_variant,
        vector_set as vectors,
        source_language,
        target_language,
        max(value) filter (where measure = 'bli_map') as bli_map,
        {%- for measure in measures %}
        max(value) filter (where measure = '{{ measure }}') as {{ measure }},
        {%- endfor %}
        to_json(map_from_entries(list((measure, value) order by measure) filter (
            where measure not in (
                'bli_map', 'transfer_pp',
                {%- for measure in measures %}
                '{{ measure }}'{{ "," if not loop.last }}
                {%- endfor %}
            )
        ))) as other_measures,
        max(value) filter (where measure = 'transfer_pp') as transfer_pp
    from pair_measures
    group by
        study, origin, embedding_study, variant, prompt_pool, embedding_variant, vector_set, source_language,
        target_language
)

select * from final
