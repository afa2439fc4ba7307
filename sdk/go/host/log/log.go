// Package log writes lines into the host's log, with the plugin's name and the tenant: ten in a second and a
// hundred at once, what is more is counted. Every world has it.
package log

// Level is how loud a line is, numbered as in the WIT.
type Level uint8

const (
	LevelDebug Level = iota
	LevelInfo
	LevelWarn
	LevelError
)

// Debug is for whoever looks for a fault.
func Debug(message string) { Write(LevelDebug, message) }

// Info is worth to know.
func Info(message string) { Write(LevelInfo, message) }

// Warn: something is degraded.
func Warn(message string) { Write(LevelWarn, message) }

// Error: something is lost.
func Error(message string) { Write(LevelError, message) }
