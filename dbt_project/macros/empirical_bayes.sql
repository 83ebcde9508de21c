{#-
    empirical_bayes(relation, family, value, variance): the relation's rows with means of several drawn together as far as
    their errors explain how they differ. `family`: columns; rows that agree in them are drawn together. Columns added:

    k, has_errors       rows of the family, and whether all have a variance
    between_variance    variance of the true means, by moments (DerSimonian and Laird 1986), at least 0
    centre              their mean, each weighing as much as it is known
    shrinkage           how far a row is drawn there (Morris 1983); 0 below four rows, or where has_errors is false
    shrunk              the mean after that
-#}
{% macro empirical_bayes(relation, family, value, variance) -%}
    {%- set weight = "1 / (" ~ variance ~ " + between_variance)" %}
    select
        *,
        case
            when has_errors and k > 3 then (k - 3) / (k - 1) * {{ variance }} / ({{ variance }} + between_variance)
            else 0
        end as shrinkage,
        case when shrinkage = 0 then {{ value }} else centre + (1 - shrinkage) * ({{ value }} - centre) end as shrunk
    from (
        select
            *,
            {{ in_order_over('sum', value ~ " * " ~ weight, 'one_family') }}
            / {{ in_order_over('sum', weight, 'one_family') }} as centre
        from (
            select
                *,
                count(*) over one_family as k,
                bool_and({{ variance }} is not null) over one_family as has_errors,
                {{ in_order_over('sum', "1 / " ~ variance, 'one_family') }} as sum_precision,
                greatest(0, coalesce(
                    (
                        {{ in_order_over('sum', "pow(" ~ value ~ ", 2) / " ~ variance, 'one_family') }}
                        - pow({{ in_order_over('sum', value ~ " / " ~ variance, 'one_family') }}, 2) / sum_precision
                        - (k - 1)
                    ) / nullif(
                        sum_precision
                        - {{ in_order_over('sum', "1 / pow(" ~ variance ~ ", 2)", 'one_family') }} / sum_precision,
                        0
                    ),
                    0
                )) as between_variance
            from {{ relation }}
            window one_family as (partition by {{ family }})
        )
        window one_family as (partition by {{ family }})
    )
{%- endmacro %}
