with final as (
    {{ not_yet_computed({
        'study': 'varchar',
        'origin': 'varchar',
        'variant': 'varchar',
        'prompt': 'varchar',
        'regime': 'varchar',
        'component': 'varchar',
        'share': 'double',
    }) }}
)

select * from final
