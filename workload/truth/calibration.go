package truth

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// Calibration is what this machine's client was found to be good for: how many
// chunks a second it takes, arriving in bursts as decode steps send them,
// before the arrivals that it reports err.
type Calibration struct {
	Knee   float64   `json:"chunks-per-second"` // of the last point that held
	Cores  int       `json:"cores"`             // that the client could use
	When   time.Time `json:"when"`
	Points []Point   `json:"points"`
}

// Point is one load of a calibration.
type Point struct {
	Streams   int           `json:"streams"`
	Step      time.Duration `json:"step-ns"` // all streams get a chunk every step
	Rate      float64       `json:"chunks-per-second"`
	ErrorP99  time.Duration `json:"arrival-error-p99-ns"`
	Coalesced float64       `json:"coalesced-share"` // of token events that shared a read with an earlier one
	Late      time.Duration `json:"server-late-p99-ns"`
	Holds     bool          `json:"holds"`
}

// The bounds within which a point holds: beyond them the gaps between tokens
// that the client reports are not the server's.
const (
	holdsError     = 0.05 // of the step
	holdsCoalesced = 0.05
)

// NewPoint judges a comparison at a load.
func NewPoint(streams int, step time.Duration, rate float64, c Comparison) Point {
	p := Point{Streams: streams, Step: step, Rate: rate, ErrorP99: At(c.Chunks, 0.99), Late: c.Late.P99}
	if c.Events > 0 {
		p.Coalesced = float64(c.Coalesced) / float64(c.Events)
	}
	p.Holds = float64(p.ErrorP99) <= holdsError*float64(step) && p.Coalesced <= holdsCoalesced
	return p
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

// LoadCalibration reads this machine's calibration; ok is false if there is
// none, or if it was made with another number of cores.
func LoadCalibration() (c Calibration, ok bool) {
	path, err := CalibrationFile()
	if err != nil {
		return c, false
	}
	data, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(data, &c) != nil {
		return Calibration{}, false
	}
	return c, c.Knee > 0 && c.Cores == runtime.GOMAXPROCS(0)
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
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", fmt.Errorf("save the calibration: %w", err)
	}
	part := path + ".part"
	if err := os.WriteFile(part, append(data, '\n'), 0o644); err != nil {
		return "", fmt.Errorf("save the calibration: %w", err)
	}
	return path, os.Rename(part, path)
}
