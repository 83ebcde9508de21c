{#-
    What may be said of a difference with a 95 % interval at a threshold, in percentage points: the first that holds. NULL
    without an interval.
-#}
{% macro verdict(ci_low, ci_high, q_value, q_harm, threshold) -%}
    case
        when {{ ci_low }} is null then null
        when {{ ci_low }} >= -{{ threshold }} and {{ ci_high }} <= {{ threshold }} then 'none'
        when {{ ci_high }} < -{{ threshold }} and {{ q_harm }} <= 0.05 then 'harm'
        when {{ ci_low }} > 0 and {{ q_value }} <= 0.05 then 'gain'
        else 'undecided'
    end
{%- endmacro %}
