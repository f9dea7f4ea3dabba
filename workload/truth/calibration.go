package truth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"enginebench/internal/wholefile"
)

// Calibration is what this machine's clients were found to be good for, by
// protocol. The zero value is none.
type Calibration struct {
	Sweeps map[Protocol]Sweep `json:"sweeps"`
}

// Sweep is how many chunks a second a client takes, arriving in bursts as
// decode steps send them, before the arrivals that it reports err.
type Sweep struct {
	Knee   float64   `json:"chunks-per-second"` // of the last point that held; 0: none did
	Cores  int       `json:"cores"`             // that the client could use
	When   time.Time `json:"when"`
	Points []Point   `json:"points"`
}

// Point is one load of a sweep.
type Point struct {
	Streams   int           `json:"streams"`
	Step      time.Duration `json:"step-ns"` // all streams get a chunk every step
	Rate      float64       `json:"chunks-per-second"`
	Error     time.Duration `json:"arrival-error-ns"` // by magnitude
	ErrorAt   string        `json:"arrival-error-at"` // "p99"; "max" of fewer than 100 chunks
	Coalesced float64       `json:"coalesced-share"`  // of token events that shared a read with an earlier one
	Late      time.Duration `json:"server-late-p99-ns"`
	Holds     bool          `json:"holds"`
}

// The bounds within which a point holds: beyond them the gaps between tokens
// that the client reports are not the server's.
const (
	holdsError     = 0.05 // of the step
	holdsCoalesced = 0.05
)

// NewPoint judges a comparison at a load. Its rate is what the server really
// wrote, which may be less than was asked of it: n steps take n-1 times their
// length from the first to the last, and one more until the next.
func NewPoint(streams int, step time.Duration, c Comparison) Point {
	p := Point{Streams: streams, Step: step, Rate: float64(c.Events) / (c.Span + step).Seconds(), Late: c.Late.P99}
	p.Error, p.ErrorAt = At(c.Chunks, 0.99)
	if c.Events > 0 {
		p.Coalesced = float64(c.Coalesced) / float64(c.Events)
	}
	p.Holds = float64(p.Error) <= holdsError*float64(step) && p.Coalesced <= holdsCoalesced
	return p
}

// Knee is the highest rate in chunks a second that a protocol's client was
// found to take; 0 if it was not calibrated, or with another number of cores.
func (c Calibration) Knee(p Protocol) float64 {
	if s := c.Sweeps[p]; s.Cores == runtime.GOMAXPROCS(0) {
		return s.Knee
	}
	return 0
}

// CalibrationFile is where a machine keeps its calibration: below
// $ENGINEBENCH_CACHE, or the user's cache directory.
func CalibrationFile() (string, error) {
	if dir := os.Getenv("ENGINEBENCH_CACHE"); dir != "" {
		return filepath.Join(dir, "calibration.json"), nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the calibration: %w; set ENGINEBENCH_CACHE", err)
	}
	return filepath.Join(dir, "enginebench", "calibration.json"), nil
}

// LoadCalibration reads this machine's calibration: the zero value if there is
// none, which is no error. The error says why one that is there can't be read.
func LoadCalibration() (Calibration, error) {
	path, err := CalibrationFile()
	if err != nil {
		return Calibration{}, nil // a machine without a cache has no calibration
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Calibration{}, nil
	}
	var c Calibration
	if err == nil {
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.DisallowUnknownFields() // one of another shape is none, and must say so
		err = decoder.Decode(&c)
	}
	if err != nil {
		return Calibration{}, fmt.Errorf("read the calibration %s: %w; make calibrate makes another", path, err)
	}
	return c, nil
}

// Save keeps a calibration as this machine's, whole or not at all.
func (c Calibration) Save() (path string, err error) {
	if path, err = CalibrationFile(); err != nil {
		return "", err
	}
	data, err := json.MarshalIndent(c, "", "\t")
	if err != nil {
		return "", err
	}
	if err := wholefile.WriteBytes(path, append(data, '\n')); err != nil {
		return "", fmt.Errorf("save the calibration: %w", err)
	}
	return path, nil
}
