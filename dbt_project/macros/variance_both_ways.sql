{#-
    The variance of a mean whose errors are one within a model and within a language (Cameron, Gelbach & Miller 2011),
    from rows by `kind` of cluster: 'model', 'language', 'both'. Never less than that of either alone.
-#}
{% macro variance_both_ways(column) -%}
    greatest(
        coalesce(max({{ column }}) filter (where kind = 'model'), 0)
        + coalesce(max({{ column }}) filter (where kind = 'language'), 0)
        - coalesce(max({{ column }}) filter (where kind = 'both'), 0),
        max({{ column }}) filter (where kind != 'both')
    )
{%- endmacro %}
