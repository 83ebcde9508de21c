{#-
    Benjamini and Hochberg's adjusted p over the rows of `family` (columns to partition by), in two steps, as windows do
    not nest: tests_over_rank in one CTE, under a name; adjusted_p of that name in the next. NULLs are no tests.
-#}
{% macro tests_over_rank(p, family) -%}
    {{ p }} * count({{ p }}) over (partition by {{ family }})
    / count({{ p }}) over (partition by {{ family }} order by {{ p }})
{%- endmacro %}

{% macro adjusted_p(p, tests_over_rank, family) -%}
    case
        when {{ p }} is not null
            then min({{ tests_over_rank }}) over (partition by {{ family }} order by {{ p }} desc)
    end
{%- endmacro %}
