{#-
    A list of one struct for each axis on which a cell makes its source a donor and its target a recipient: of languages
    within a task, of tasks within a language, and of cells. Reads source_task, source_language, target_task,
    target_language and regime. `block` is what donors are compared within; `counts`: whether a cell of this regime
    does so.
-#}
{% macro role_axes() -%}
    [
        {
            'axis': 'language',
            'block': source_task,
            'donor': source_language,
            'recipient': target_language,
            'counts': regime = 'MT-CL'
        },
        {
            'axis': 'task',
            'block': source_language,
            'donor': source_task,
            'recipient': target_task,
            'counts': regime = 'CT-ML'
        },
        {
            'axis': 'cell',
            'block': 'all',
            'donor': source_task || '/' || source_language,
            'recipient': target_task || '/' || target_language,
            'counts': regime != 'MT-ML'
        }
    ]
{%- endmacro %}
