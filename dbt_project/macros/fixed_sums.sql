{#-
    Aggregates of doubles that come out the same to the last digit however rows lie and threads share them: a plain sum of
    doubles is rounded anew at every step, and the steps follow no order.

    exact_sum(x), exact_avg(x): for items, of which there are millions. Values are added up as whole multiples of 2^-80,
    which every double above 2^-28 is: proportions, counts of seeds, percentage points of scores. Should one not be finite,
    or reach 2^24, it is the plain sum.

    in_order(aggregate, x): sum, avg, var_samp and the like of any doubles, for cells and what is above them: the values
    are sorted first, which costs ten times as much.

    in_order_over(aggregate, x, window): the same over a window that is named or written in parentheses.

    `where`: a condition; only the rows where it holds count. Where no value is known, all are NULL.
-#}
{% macro exact_sum(x, where=none) -%}
    {%- set whole = "case when abs(" ~ x ~ ") < pow(2, 24) then cast((" ~ x ~ ") * pow(2, 80) as hugeint) end" -%}
    {%- set counted = counted_where(where) -%}
    case
        when count({{ x }}){{ counted }} = count({{ whole }}){{ counted }}
            then cast(sum({{ whole }}){{ counted }} as double) / pow(2, 80)
        else sum({{ x }}){{ counted }}
    end
{%- endmacro %}

{% macro exact_avg(x, where=none) -%}
    ({{ exact_sum(x, where) }} / count({{ x }}){{ counted_where(where) }})
{%- endmacro %}

{% macro in_order(aggregate, x, where=none) -%}
    list_{{ aggregate }}(list_sort(list({{ x }}){{ counted_where(where) }}))
{%- endmacro %}

{% macro counted_where(where) -%}
    {%- if where %} filter (where {{ where }}){% endif -%}
{%- endmacro %}

{% macro in_order_over(aggregate, x, window) -%}
    {{ aggregate }}({{ x }} order by {{ x }}) over {{ window }}
{%- endmacro %}
