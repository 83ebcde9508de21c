with final as (
    {{ not_yet_computed({
        'study': 'varchar',
        'origin': 'varchar',
        'variant': 'varchar',
        'vectors': 'varchar',
        'method': 'varchar',
        'other_method': 'varchar',
        'dictionary_size': 'bigint',
        'retrieval': 'varchar',
        'difference': 'double',
        'ci_low': 'double',
        'ci_high': 'double',
        'p_value': 'double',
    }) }}
)

select * from final
