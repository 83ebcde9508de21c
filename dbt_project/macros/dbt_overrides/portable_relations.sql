{#
    Relations without the database's name: it is the file's, and a view that carries it breaks when the warehouse file
    is copied or renamed.
#}
{% macro ref() -%}
    {% do return(builtins.ref(*varargs, **kwargs).include(database=false)) %}
{%- endmacro %}

{% macro source(source_name, table_name) -%}
    {% do return(builtins.source(source_name, table_name).include(database=false)) %}
{%- endmacro %}
