// Package cache keeps bytes for a plugin and tenant in the host's memory, bounded: what was not used for the longest
// time goes first. Lost with the process, and not shared with others. Processors and authenticators have it.
package cache
