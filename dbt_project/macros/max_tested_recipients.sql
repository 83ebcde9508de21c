{#- So many recipients' harms are tested together at most (int_sign_designs, int_recipient_harms). -#}
{% macro max_tested_recipients() -%}
    200
{%- endmacro %}
