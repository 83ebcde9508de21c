with final as (
    {{ not_yet_computed({
        'study': 'varchar',
        'origin': 'varchar',
        'variant': 'varchar',
        'prompt': 'varchar',
        'regime': 'varchar',
        'source_task': 'varchar',
        'source_language': 'varchar',
        'kendall_tau_b': 'double',
        'p_value': 'double',
        'n_model_pairs': 'bigint',
        'n_targets': 'bigint',
    }) }}
)

select * from final
