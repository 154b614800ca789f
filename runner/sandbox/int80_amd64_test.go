package sandbox

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// int80 opens an internet socket as a 32-bit program would: the same kernel, other
// numbers, which a filter for amd64 does not know.
func int80() error {
	page, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE|unix.PROT_EXEC, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return err
	}
	result := (*int32)(unsafe.Pointer(&page[2048]))
	code := []byte{
		0xb8, 0x67, 0x01, 0, 0, // mov eax, 359 (socket)
		0xbb, 2, 0, 0, 0, // mov ebx, AF_INET
		0xb9, 1, 0, 0, 0, // mov ecx, SOCK_STREAM
		0xba, 0, 0, 0, 0, // mov edx, 0
		0xcd, 0x80, // int 0x80
		0x48, 0xbe, // mov rsi, result
	}
	code = binary.LittleEndian.AppendUint64(code, uint64(uintptr(unsafe.Pointer(result))))
	code = append(code,
		0x89, 0x06, // mov [rsi], eax
		0xc3) // ret
	copy(page, code)
	entry := unsafe.Pointer(&page[0])
	f := unsafe.Pointer(&entry)
	(*(*func())(unsafe.Pointer(&f)))()
	if *result < 0 {
		return unix.Errno(-*result)
	}
	return nil
}
