{#-
    Whether the first of the highest values of the list `scores` stands at `gold_position` (from 1); NULL where there is
    no score. list_position finds the first of equal values, so ties go to the first choice; without the condition it
    would also find a NULL among NULLs. DuckDB holds NaN for the highest of all numbers: one is as good as no score.
-#}
{% macro picks_gold(scores, gold_position) -%}
    case
        when isnan(list_max({{ scores }}))
            then list_position({{ scores }}, list_max(list_filter({{ scores }}, lambda score: not isnan(score))))
                = {{ gold_position }}
        when list_max({{ scores }}) is not null
            then list_position({{ scores }}, list_max({{ scores }})) = {{ gold_position }}
    end
{%- endmacro %}
