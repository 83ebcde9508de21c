{#-
    Whether the first of the highest values of the list `scores` stands at `gold_position` (from 1); NULL where there is
    no score. list_position finds the first of equal values, so ties go to the first choice; without the condition it
    would also find a NULL among NULLs.
-#}
{% macro picks_gold(scores, gold_position) -%}
    case when list_max({{ scores }}) is not null then list_position({{ scores }}, list_max({{ scores }})) = {{ gold_position }} end
{%- endmacro %}
