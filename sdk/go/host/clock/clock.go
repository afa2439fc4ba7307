// Package clock has the time, which package time has not in a plugin. Processors, authenticators and refreshers
// have it; samplers give the same answer whenever they are asked.
package clock
