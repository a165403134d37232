package pgcatalog

import "github.com/pamirdb/pamir/sql/types"

// rowMakers maps a table's qualified name to what makes its rows. The other
// tables are of features that Pamir does not have, and empty.
func rowMakers() map[string]func(*scan) error {
	m := map[string]func(*scan) error{
		"pg_catalog.pg_namespace":           namespaceRows,
		"pg_catalog.pg_type":                typeRows,
		"pg_catalog.pg_enum":                enumRows,
		"pg_catalog.pg_description":         descriptionRows,
		"pg_catalog.pg_shdescription":       sharedDescriptionRows,
		"pg_catalog.pg_class":               classRows,
		"pg_catalog.pg_attribute":           attributeRows,
		"pg_catalog.pg_attrdef":             attrdefRows,
		"pg_catalog.pg_index":               indexRows,
		"pg_catalog.pg_constraint":          constraintRows,
		"pg_catalog.pg_depend":              dependRows,
		"pg_catalog.pg_extension":           extensionRows,
		"pg_catalog.pg_sequence":            sequenceRows,
		"pg_catalog.pg_rewrite":             rewriteRows,
		"pg_catalog.pg_database":            databaseRows,
		"pg_catalog.pg_tablespace":          tablespaceRows,
		"pg_catalog.pg_authid":              roleRows(true),
		"pg_catalog.pg_roles":               roleRows(false),
		"pg_catalog.pg_user":                userRows,
		"pg_catalog.pg_group":               groupRows,
		"pg_catalog.pg_auth_members":        memberRows,
		"pg_catalog.pg_tables":              tablesRows,
		"pg_catalog.pg_indexes":             indexesRows,
		"pg_catalog.pg_views":               viewsRows(false),
		"pg_catalog.pg_matviews":            viewsRows(true),
		"pg_catalog.pg_sequences":           sequencesRows,
		"pg_catalog.pg_settings":            settingRows,
		"pg_catalog.pg_prepared_statements": preparedRows,
		"pg_catalog.pg_cursors":             cursorRows,
		"pg_catalog.pg_stat_activity":       activityRows,
		"pg_catalog.pg_stat_all_tables":     statTablesRows,
		"pg_catalog.pg_stat_user_tables":    statTablesRows,

		"information_schema.information_schema_catalog_name": infoCatalogRows,
		"information_schema.schemata":                        schemataRows,
		"information_schema.tables":                          infoTablesRows,
		"information_schema.columns":                         infoColumnsRows,
		"information_schema.views":                           infoViewsRows,
		"information_schema.sequences":                       infoSequencesRows,
		"information_schema.table_constraints":               tableConstraintsRows,
		"information_schema.key_column_usage":                keyColumnUsageRows,
		"information_schema.constraint_column_usage":         constraintColumnUsageRows,
		"information_schema.referential_constraints":         referentialRows,
		"information_schema.check_constraints":               checkConstraintsRows,
		"information_schema.enabled_roles":                   enabledRolesRows,
		"information_schema.character_sets":                  characterSetsRows,
	}
	for name := range factTables {
		if key := "pg_catalog." + name; m[key] == nil {
			m[key] = factMaker(name)
		}
	}
	return m
}

// parseText reads a value's text form under default settings.
func parseText(t types.Type, text string) (types.Datum, error) {
	return types.ParseText(t, text, defaultSettings)
}

var defaultSettings = types.DefaultSettings()
