with final as (
    {{ not_yet_computed({
        'study': 'varchar',
        'origin': 'varchar',
        'variant': 'varchar',
        'prompt': 'varchar',
        'target_task': 'varchar',
        'target_language': 'varchar',
        'source_task': 'varchar',
        'source_language': 'varchar',
        'expected_gain_pp': 'double',
        'ci_low': 'double',
        'worst_harm_pp': 'double',
        'p_harm': 'double',
        'rank': 'bigint',
    }) }}
)

select * from final
