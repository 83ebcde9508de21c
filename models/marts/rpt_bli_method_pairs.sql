{#- 64 permutations a block, one for each bit of a concept's digest. -#}
{%- set n_blocks = 80 -%}

with concept_differences as (
    select * from {{ ref('int_concept_differences') }}
),

studies as (
    select * from {{ ref('stg_studies') }}
),

{%- set comparison = "study, variant, vector_set, retrieval, method, other_method, dictionary_size" %}

compared as (
    select
        {{ comparison }},
        {{ in_order('sum', 'difference') }} as difference,
        -- Of the sum, when concepts are drawn with replacement.
        sqrt({{ in_order('var_pop', 'difference') }} * count(*)) as standard_error,
        count(*) as n_concepts
    from concept_differences
    group by all
),

comparisons as (
    select
        *,
        row_number() over (order by {{ comparison }}) as comparison_number
    from compared
),

concepts as (
    select distinct
        study,
        concept_id
    from concept_differences
),

-- One list of all concepts of the study, 0 where a comparison lacks one, so that all lists run in step.
listed as (
    select
        comparisons.comparison_number,
        comparisons.study,
        list(coalesce(concept_differences.difference, 0) order by concepts.concept_id) as differences
    from comparisons
    inner join concepts on comparisons.study = concepts.study
    left join concept_differences
        on concepts.concept_id = concept_differences.concept_id
        {%- for name in comparison.split(", ") %}
        and comparisons.{{ name }} = concept_differences.{{ name }}
        {%- endfor %}
    group by all
),

digests as (
    select
        concepts.study,
        block.i as block,
        list(md5_number_lower(concepts.concept_id || '/' || block.i) order by concepts.concept_id) as digests
    from concepts
    cross join range({{ n_blocks }}) as block (i)
    group by all
),

drawn as (
    select
        digests.study,
        digests.digests,
        turn.i as turn
    from digests
    cross join range(64) as turn (i)
),

-- Exchanging the two methods on a concept, in every language pair at once, turns the sign of its difference.
signs as (
    select
        study,
        list_transform(digests, lambda digest: 1.0::double - 2 * ((digest >> turn) & 1)) as signs -- noqa: PRS
    from drawn
),

exchanged as (
    select
        listed.comparison_number,
        abs(list_inner_product(listed.differences, signs.signs)) as distance
    from listed
    inner join signs on listed.study = signs.study
),

tested as (
    select
        comparisons.comparison_number,
        (1 + count_if(exchanged.distance >= abs(comparisons.difference) - 1e-12)) / (1 + count(*)) as p_value
    from comparisons
    inner join exchanged on comparisons.comparison_number = exchanged.comparison_number
    group by comparisons.comparison_number
),

final as (
    select
        comparisons.study,
        studies.origin,
        comparisons.variant,
        comparisons.vector_set as vectors,
        comparisons.method,
        comparisons.other_method,
        comparisons.dictionary_size,
        comparisons.retrieval,
        comparisons.difference,
        case
            when comparisons.n_concepts > 1
                then comparisons.difference - 1.959963984540054 * comparisons.standard_error
        end as ci_low,
        case
            when comparisons.n_concepts > 1
                then comparisons.difference + 1.959963984540054 * comparisons.standard_error
        end as ci_high,
        least(1, tested.p_value * count(*) over (
            partition by
                comparisons.study, comparisons.variant, comparisons.vector_set, comparisons.retrieval,
                comparisons.dictionary_size
        )) as p_value
    from comparisons
    inner join tested on comparisons.comparison_number = tested.comparison_number
    inner join studies on comparisons.study = studies.study
)

select * from final
