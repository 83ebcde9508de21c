{#- Ways to draw `r` of `n` things, r from 0 to 3; 0 where n < r. -#}
{% macro choose(n, r) -%}
    case {{ r }}
        when 0 then 1
        when 1 then {{ n }}
        when 2 then {{ n }} * ({{ n }} - 1) / 2
        when 3 then {{ n }} * ({{ n }} - 1) * ({{ n }} - 2) / 6
    end
{%- endmacro %}
