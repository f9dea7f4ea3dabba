package triton

import (
	"encoding/binary"
	"fmt"
	"math"
)

// elements are a tensor's values in row-major order, before a datatype makes
// bytes of them. Truth is 0 or 1.
type elements struct {
	numbers []int64
	texts   []string
}

func number(n int64) elements { return elements{numbers: []int64{n}} }
func text(s string) elements  { return elements{texts: []string{s}} }
func (e elements) len() int   { return len(e.numbers) + len(e.texts) }
func truth(yes bool) elements { return number(map[bool]int64{true: 1}[yes]) }
func tokens(ids []int32) elements {
	e := elements{numbers: make([]int64, len(ids))}
	for i, id := range ids {
		e.numbers[i] = int64(id)
	}
	return e
}

// encode writes the elements as raw_input_contents carries them:
// little-endian, not padded; a BYTES element has its length before it as
// uint32 (Triton's grpc_service.proto, at ModelInferRequest).
func (e elements) encode(datatype string) ([]byte, error) {
	if datatype == "BYTES" {
		if len(e.numbers) > 0 {
			return nil, fmt.Errorf("encode a number as %s", datatype)
		}
		var b []byte
		for _, s := range e.texts {
			b = append(binary.LittleEndian.AppendUint32(b, uint32(len(s))), s...)
		}
		return b, nil
	}
	if len(e.texts) > 0 {
		return nil, fmt.Errorf("encode text as %s", datatype)
	}
	b := make([]byte, 0, 8*len(e.numbers))
	for _, n := range e.numbers {
		switch {
		case datatype == "INT32" && n == int64(int32(n)), datatype == "UINT32" && n == int64(uint32(n)):
			b = binary.LittleEndian.AppendUint32(b, uint32(n))
		case datatype == "INT64", datatype == "UINT64" && n >= 0:
			b = binary.LittleEndian.AppendUint64(b, uint64(n))
		case datatype == "FP32":
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(n)))
		case datatype == "FP64":
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(float64(n)))
		case datatype == "BOOL" && n&^1 == 0:
			b = append(b, byte(n))
		default:
			return nil, fmt.Errorf("encode %d as %s", n, datatype)
		}
	}
	return b, nil
}

// decodeInts reads raw_output_contents of an integer datatype, appending to
// into.
func decodeInts[T int32 | int64](into []T, datatype string, raw []byte) ([]T, error) {
	width := map[string]int{"INT32": 4, "UINT32": 4, "INT64": 8, "UINT64": 8}[datatype]
	if width == 0 || len(raw)%width != 0 {
		return into, fmt.Errorf("read %d bytes as %s", len(raw), datatype)
	}
	for ; len(raw) > 0; raw = raw[width:] {
		switch {
		case datatype == "INT32":
			into = append(into, T(int32(binary.LittleEndian.Uint32(raw))))
		case width == 4:
			into = append(into, T(binary.LittleEndian.Uint32(raw)))
		default:
			into = append(into, T(binary.LittleEndian.Uint64(raw)))
		}
	}
	return into, nil
}

// decodeText reads the first element of a BYTES tensor; "" if it has none.
func decodeText(datatype string, raw []byte) (string, error) {
	if datatype != "BYTES" {
		return "", fmt.Errorf("read text from %s", datatype)
	}
	if len(raw) == 0 {
		return "", nil
	}
	if len(raw) < 4 || int64(len(raw)-4) < int64(binary.LittleEndian.Uint32(raw)) {
		return "", fmt.Errorf("read %d bytes as BYTES", len(raw))
	}
	return string(raw[4:][:binary.LittleEndian.Uint32(raw)]), nil
}
