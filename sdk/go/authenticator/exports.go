//go:build wasm

package authenticator

import (
	"errors"
	"unsafe"

	"github.com/traceweir/traceweir/sdk/go/internal/abi"
	"github.com/traceweir/traceweir/sdk/go/internal/guest"
)

//go:wasmexport traceweir:plugin/authenticator@0.1.0#authenticate
func authenticate(
	method, methodSize, path, pathSize, peer, peerSize, headers, headerCount uint32,
	certified, subject, subjectSize, names, nameCount uint32,
) unsafe.Pointer {
	defer guest.LogPanic()
	request := &Request{
		Method: abi.Text(abi.Take(method, methodSize)),
		Path:   abi.Text(abi.Take(path, pathSize)),
		PeerIP: abi.Text(abi.Take(peer, peerSize)),
	}
	list := abi.Take(headers, headerCount*16)
	for i := range int(headerCount) {
		request.Headers = append(request.Headers, Header{abi.TakeText(list, i*16), abi.TakeAt(list, i*16+8)})
	}
	if certified != 0 {
		request.Certificate = &Certificate{Subject: abi.Text(abi.Take(subject, subjectSize))}
		list := abi.Take(names, nameCount*8)
		for i := range int(nameCount) {
			request.Certificate.Names = append(request.Certificate.Names, abi.TakeText(list, i*8))
		}
	}
	identity, err := instance.Authenticate(request)
	if err != nil {
		return denied(err)
	}
	result := abi.NewRecord(40)
	result.Texts(4, identity.Tenants)
	permissions := result.List(12, len(identity.Permissions), 1)
	for i, permission := range identity.Permissions {
		permissions.U8(i, uint8(permission))
	}
	result.Text(20, identity.RateClass)
	result.Text(28, identity.Cluster)
	result.U32(36, identity.TTLSeconds)
	return result.Address()
}

func denied(err error) unsafe.Pointer {
	var why *Denied
	if !errors.As(err, &why) {
		why = &Denied{Status: 401, Message: err.Error()}
	}
	result := abi.NewRecord(40)
	result.U8(0, 1)
	result.U16(4, why.Status)
	result.Text(8, why.Message)
	result.U32(16, why.TTLSeconds)
	return result.Address()
}

//go:wasmexport cabi_post_traceweir:plugin/authenticator@0.1.0#authenticate
func authenticateRead(uint32) { abi.Release() }
