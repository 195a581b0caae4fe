package signal

import "testing"

// Each row is found by the requests that it describes, and by them alone.
func TestRequestsFindTheirDialect(t *testing.T) {
	table := Table()
	for i := range table {
		row := &table[i]
		path, contentType := row.Path, row.ContentType
		if path == "" {
			path = "/live/stream"
		}
		if contentType == "" {
			contentType = "application/json"
		}
		if got, stop := Match(table, path, contentType); got != row || stop {
			t.Errorf("POST %s of %s is of %s", path, contentType, got.Name())
		}
		if row.StopPath == "" {
			continue
		}
		if got, stop := Match(table, row.StopPath, contentType); got != row || !stop {
			t.Errorf("POST %s is of %s", row.StopPath, got.Name())
		}
		if _, ok := row.Dialect.(Stopper); !ok {
			t.Errorf("%s has a path that ends sessions, and is no Stopper", row.Name())
		}
	}
	if last := table[len(table)-1]; last.Path != "" || last.ContentType != "" {
		t.Errorf("the last row, %s, does not take all", last.Name())
	}
}
