{%- set n_permutations = 4999 -%}

with downstream_points as (
    select * from {{ ref('int_downstream_points') }}
),

studies as (
    select * from {{ ref('stg_studies') }}
),

{%- set series_of = "study, variant, task" %}

-- Tied values share their mean rank.
ranked as (
    select
        *,
        dense_rank() over (order by {{ series_of }}) as series_number,
        dense_rank() over (partition by {{ series_of }} order by method, dictionary_size) as method_number,
        dense_rank() over (
            partition by {{ series_of }}
            order by vectors, source_language, target_language
        ) as pair_number,
        rank() over (partition by {{ series_of }} order by map_residual)
        + (count(*) over (partition by {{ series_of }}, map_residual) - 1) / 2 as map_rank,
        rank() over (partition by {{ series_of }} order by score_residual)
        + (count(*) over (partition by {{ series_of }}, score_residual) - 1) / 2 as score_rank
    from downstream_points
),

correlated as (
    select
        series_number,
        {{ series_of }},
        max(method_number) as n_methods,
        max(pair_number) as n_pairs,
        count(*) as n,
        case
            when count(distinct map_rank) > 1 and count(distinct score_rank) > 1
                then corr(map_rank, score_rank order by map_rank, score_rank)
        end as spearman,
        case
            when count(distinct map_rank) > 1 and count(distinct score_rank) > 1
                then corr(map_residual, score_residual order by map_residual, score_residual)
        end as pearson
    from ranked
    group by all
),

limits as (
    select
        max(n_methods) as n_methods,
        max(n_pairs) as n_pairs
    from correlated
),

layout as (
    select
        correlated.series_number,
        correlated.n_methods,
        correlated.n_pairs,
        row_of.i as method_number,
        column_of.i as pair_number
    from correlated
    inner join range(1, (select limits.n_methods from limits) + 1) as row_of (i) on correlated.n_methods >= row_of.i
    inner join range(1, (select limits.n_pairs from limits) + 1) as column_of (i) on correlated.n_pairs >= column_of.i
),

filled as (
    select
        layout.*,
        case when ranked.series_number is null then 0.0 else 1.0 end as is_known,
        coalesce(ranked.map_rank, 0) as map_rank,
        coalesce(ranked.score_rank, 0) as score_rank
    from layout
    left join ranked
        on layout.series_number = ranked.series_number
        and layout.method_number = ranked.method_number
        and layout.pair_number = ranked.pair_number
),

series as (
    select
        series_number,
        n_methods as n_units,
        n_pairs as n_columns,
        list(cast(is_known as double) order by method_number, pair_number) as x_is_known,
        x_is_known as y_is_known,
        list(map_rank order by method_number, pair_number) as x,
        list(score_rank order by method_number, pair_number) as y
    from filled
    group by all
),

layouts as (
    select distinct
        n_units,
        n_columns
    from series
),

permutations as (
    {{ digest_permutations('(select max(n_units) from series)', n_permutations) }}
),

permutations_of_layout as (
    select
        layouts.n_units,
        layouts.n_columns,
        permutations.replicate,
        permutations.units
    from permutations
    cross join layouts
),

-- A method takes all its pairs along: what one method does on two pairs is not independent.
positions as (
    select
        n_units,
        n_columns,
        replicate,
        flatten(list_transform( -- noqa: PRS
            list_filter(units, lambda unit: unit <= n_units),
            lambda unit: range((unit - 1) * n_columns + 1, unit * n_columns + 1)
        )) as positions
    from permutations_of_layout
),

{{ permutation_test(n_permutations) }}

final as (
    select
        correlated.study,
        studies.origin,
        correlated.variant,
        correlated.task,
        correlated.spearman,
        correlated.pearson,
        case when correlated.spearman is not null then permutation_test.p_value end as p_value,
        correlated.n
    from correlated
    inner join studies on correlated.study = studies.study
    inner join permutation_test on correlated.series_number = permutation_test.series_number
)

select * from final
