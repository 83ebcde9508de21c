{#-
    The choices' probabilities up to a common factor, as a list: exp(score - highest), which over its sum is the softmax
    (Luce's choice rule, 1959). `highest` is the highest finite one of `scores`. A choice whose score is none, or no
    number, has weight 0: it can never win (picks_gold).
-#}
{% macro choice_weights(scores, highest) -%}
    list_transform({{ scores }}, lambda score: case when isfinite(score) then exp(score - {{ highest }}) else 0 end)
{%- endmacro %}
