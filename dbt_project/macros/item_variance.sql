{#-
    The variance of a weighted sum of cells that comes from its items: of the mean of n draws with replacement, n / (n - 1)
    times that of the draws at hand, and no less than if in each cell half an item had been won and half an item lost
    (as int_cell_errors). An aggregate; NULL of a single item.
-#}
{% macro item_variance(influence, sum_squared_weight, n='count(*)') -%}
    case when {{ n }} > 1 then greatest(
        (
            {{ exact_sum('pow(' ~ influence ~ ', 2)') }}
            - pow({{ exact_sum(influence) }}, 2) / {{ n }}
        ) * {{ n }} / ({{ n }} - 1),
        any_value({{ sum_squared_weight }}) / (({{ n }} + 2) * ({{ n }} + 1))
    ) end
{%- endmacro %}
