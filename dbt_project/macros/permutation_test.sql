{#-
    CTEs of a permutation test of rank correlation, two-sided: whole units are permuted, not single points.

    Reads two CTEs. `series`: series_number, n_units, n_columns and four lists in step, one entry a point: x and y (ranks
    or values; 0.0 where unknown), x_is_known and y_is_known (1.0 or 0.0). `positions`: n_units, n_columns, replicate and the list `positions`,
    which says for each point where the replicate takes its x from.

    Writes `permutation_test`: series_number, p_value = (1 + replicates at least as far from 0) / (1 + replicates). Where
    points are unknown, a replicate is correlated over the points that it leaves known.
-#}
{% macro permutation_test(n_permutations) -%}
replicated_series as (
    select
        series.*,
        positions.replicate,
        positions.positions
    from series
    inner join positions
        on series.n_units = positions.n_units
        and series.n_columns = positions.n_columns
),

permuted_series as (
    select
        series_number,
        replicate,
        y,
        y_is_known,
        list_transform(positions, lambda position: x[position]) as x, -- noqa: PRS
        list_transform(positions, lambda position: x_is_known[position]) as x_is_known
    from replicated_series
),

sums_of_products as (
    select
        series_number,
        replicate,
        list_inner_product(x_is_known, y_is_known) as n,
        list_inner_product(x, y_is_known) as x,
        list_inner_product(x_is_known, y) as y,
        list_inner_product(list_transform(x, lambda value: value * value), y_is_known) as xx,
        list_inner_product(x_is_known, list_transform(y, lambda value: value * value)) as yy,
        list_inner_product(x, y) as xy
    from permuted_series
),

permuted_correlations as (
    select
        series_number,
        replicate,
        -- A replicate without variation has no correlation, and is no farther from 0 than any.
        coalesce(abs((n * xy - x * y) / nullif(sqrt(greatest((n * xx - x * x) * (n * yy - y * y), 0)), 0)), 0)
            as distance
    from sums_of_products
),

permutation_test as (
    select
        permuted_correlations.series_number,
        (1 + count_if(permuted_correlations.distance >= observed.distance - 1e-9))
        / (1 + {{ n_permutations }}) as p_value
    from permuted_correlations
    inner join permuted_correlations as observed
        on permuted_correlations.series_number = observed.series_number
        and observed.replicate = 0
    where permuted_correlations.replicate > 0
    group by permuted_correlations.series_number
),
{%- endmacro %}

{#-
    A query of replicates 0 to `n_permutations` of the numbers 1 to `n` (an expression): columns replicate and `units`, a
    list. Replicate 0 leaves them in order; the others follow a digest, so every build draws the same. What a replicate
    says of fewer numbers is the same list without the larger ones.
-#}
{% macro digest_permutations(n, n_permutations) -%}
    select
        replicate.i as replicate,
        list(
            unit.i
            order by case when replicate.i > 0 then md5(replicate.i || '/' || unit.i) end, unit.i
        ) as units
    from range({{ n_permutations + 1 }}) as replicate (i)
    cross join range(1, {{ n }} + 1) as unit (i)
    group by replicate.i
{%- endmacro %}

{#-
    CTEs of what languages a series has and how they meet, for series of at least five. Reads `languages_of_series`:
    series_number, language. Writes `languages` (with language_number, in the order of names, and n_languages) and
    `layout`, all ordered pairs of a series' languages: language_number and other_number say where a pair stands.
-#}
{% macro language_layout() -%}
languages as (
    select
        *,
        row_number() over (partition by series_number order by language) as language_number,
        count(*) over (partition by series_number) as n_languages
    from languages_of_series
),

layout as (
    select
        row_of.series_number,
        row_of.n_languages,
        row_of.language,
        column_of.language as other_language,
        row_of.language_number,
        column_of.language_number as other_number
    from languages as row_of
    inner join languages as column_of on row_of.series_number = column_of.series_number
    where row_of.n_languages >= 5
),
{%- endmacro %}

{#-
    CTEs of the permutations of languages, for the CTE `series` of permutation_test, whose points are all ordered pairs of
    a series' languages: a language takes its whole row and its whole column along, as in Mantel's test. Writes `positions`.
-#}
{% macro language_permutations(n_permutations) -%}
sizes as (
    select distinct n_units from series
),

permutations as (
    {{ digest_permutations('(select max(n_units) from series)', n_permutations) }}
),

permutations_of_size as (
    select
        sizes.n_units,
        permutations.replicate,
        permutations.units
    from permutations
    cross join sizes
),

kept as (
    select
        n_units,
        replicate,
        list_filter(units, lambda unit: unit <= n_units) as units -- noqa: PRS
    from permutations_of_size
),

-- Mantel: a language takes its whole row and its whole column along.
positions as (
    select
        n_units,
        n_units as n_columns,
        replicate,
        flatten(list_transform(
            units, lambda row_of: list_transform(units, lambda column_of: (row_of - 1) * n_units + column_of)
        )) as positions
    from kept
),
{%- endmacro %}
