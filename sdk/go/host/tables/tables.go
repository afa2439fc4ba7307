// Package tables looks things up in tables that the host keeps fresh, from files, over HTTPS, from Kubernetes or a
// refresher: nobody waits for a network. Every world but that of refreshers has it.
package tables

// Found is the value of a key, if the table has the key.
type Found struct {
	Value string
	OK    bool
}
