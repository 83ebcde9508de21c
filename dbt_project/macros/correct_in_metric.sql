{#- Whether an item of int_item_correctness is right in the metric named by the column `metric`. -#}
{% macro correct_in_metric(metric, item_correctness) -%}
    case {{ metric }}
        when 'acc' then {{ item_correctness }}.acc
        when 'acc_norm' then {{ item_correctness }}.acc_norm
        when 'acc_bytes' then {{ item_correctness }}.acc_bytes
        when 'exact_match' then {{ item_correctness }}.exact_match
    end
{%- endmacro %}
