"""The plugins: thin files that turn a study into jobs and jobs into rows; the work itself is in the libraries."""
