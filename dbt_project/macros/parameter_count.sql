{#- A round number of parameters in words people use: 300K, 1M, 10B. -#}
{% macro parameter_count(number) -%}
    case
        when {{ number }} >= 1e12 then cast({{ number }} / 1e12 as bigint) || 'T'
        when {{ number }} >= 1e9 then cast({{ number }} / 1e9 as bigint) || 'B'
        when {{ number }} >= 1e6 then cast({{ number }} / 1e6 as bigint) || 'M'
        when {{ number }} >= 1e3 then cast({{ number }} / 1e3 as bigint) || 'K'
        else cast(cast({{ number }} as bigint) as varchar)
    end
{%- endmacro %}
