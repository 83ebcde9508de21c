with final as (
    {{ not_yet_computed({
        'study': 'varchar',
        'origin': 'varchar',
        'variant': 'varchar',
        'task': 'varchar',
        'spearman': 'double',
        'pearson': 'double',
        'p_value': 'double',
        'n': 'bigint',
    }) }}
)

select * from final
