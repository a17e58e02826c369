package config

// For the fuzz targets, which print with package show and so stand outside.
var (
	BadSettings = badSettings
	Enough      = enough
)

// Row is one setting.
type Row = row

// Rows lists the settings.
func Rows() []Row { return rowsOf(&Settings{}) }
