// Runs one check of the ClickHouse HTTP endpoint with clickhouse-go, the driver inside Grafana's ClickHouse plugin.
//
//	client ADDRESS CHECK [COMPRESSION]
//
// The users reader and writer have their names as passwords. Exits 1 and says why when the check fails.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

var compressions = map[string]clickhouse.CompressionMethod{
	"none": clickhouse.CompressionNone,
	"gzip": clickhouse.CompressionGZIP,
	"lz4":  clickhouse.CompressionLZ4,
	"zstd": clickhouse.CompressionZSTD,
}

func open(address, user, compression string) (driver.Conn, error) {
	return clickhouse.Open(&clickhouse.Options{
		Protocol:    clickhouse.HTTP,
		Addr:        []string{address},
		Auth:        clickhouse.Auth{Database: "llm", Username: user, Password: user},
		Settings:    clickhouse.Settings{"max_execution_time": 65},
		Compression: &clickhouse.Compression{Method: compressions[compression]},
		HttpHeaders: map[string]string{"X-Grafana-User": "admin"},
		DialTimeout: 10 * time.Second,
		ClientInfo:  clickhouse.ClientInfo{Products: []struct{ Name, Version string }{{"grafana", "12.0.0"}}},
	})
}

type check func(ctx context.Context, address, compression string) error

var checks = map[string]check{
	"ping": ping, "types": types, "rows": rows, "empty": empty, "errors": errors, "insert": insert, "grafana": grafana,
}

func main() {
	compression := "none"
	if len(os.Args) > 3 {
		compression = os.Args[3]
	}
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if err := checks[os.Args[2]](ctx, os.Args[1], compression); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func ping(ctx context.Context, address, compression string) error {
	conn, err := open(address, "reader", compression)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.Ping(ctx); err != nil {
		return err
	}
	version, err := conn.ServerVersion()
	if err != nil {
		return err
	}
	if version.DisplayName != "llmhub" || version.Revision != 0 || version.Version.Major < 25 {
		return fmt.Errorf("server version: %+v", version)
	}
	return nil
}

const everyType = `SELECT
	toInt8(-1) AS i8, toUInt64(18446744073709551615) AS u64, toUInt128('340282366920938463463374607431768211455') AS u128,
	toFloat64(1.5) AS f64, true AS flag, 'text' AS s, toFixedString('ab', 2) AS fs, toLowCardinality('low') AS lc,
	NULL::Nullable(String) AS n, toDecimal64('12.34', 2) AS dec, toDate('2026-01-02') AS d,
	toDateTime('2026-01-02 03:04:05', 'UTC') AS dt, toDateTime64('2026-01-02 03:04:05.123456789', 9, 'UTC') AS dt64,
	['a', 'b'] AS arr, map('k', 'v') AS m, CAST(('x', 1), 'Tuple(a String, b UInt8)') AS t,
	toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0') AS id, CAST('one', 'Enum8(\'one\' = 1)') AS e,
	toIPv4('127.0.0.1') AS ip, '{"a":{"b":1}}'::JSON AS j, 42::Variant(UInt64, String) AS va, 'x'::Dynamic AS dy,
	map('k', [1, 2]) AS nested, arrayMap(x -> toLowCardinality(toString(x)), [1, 2]) AS lca`

func types(ctx context.Context, address, compression string) error {
	conn, err := open(address, "reader", compression)
	if err != nil {
		return err
	}
	defer conn.Close()
	result, err := conn.Query(ctx, everyType)
	if err != nil {
		return err
	}
	defer result.Close()
	if !result.Next() {
		return fmt.Errorf("no row: %v", result.Err())
	}
	values := make([]any, len(result.ColumnTypes()))
	for i, column := range result.ColumnTypes() {
		values[i] = reflect.New(column.ScanType()).Interface()
	}
	if err := result.Scan(values...); err != nil {
		return err
	}
	got := map[string]string{}
	for i, name := range result.Columns() {
		got[name] = fmt.Sprint(reflect.ValueOf(values[i]).Elem().Interface())
	}
	expected := map[string]string{
		"i8": "-1", "u64": "18446744073709551615", "u128": "340282366920938463463374607431768211455", "f64": "1.5",
		"flag": "true", "s": "text", "fs": "ab", "lc": "low", "n": "<nil>", "dec": "12.34",
		"d": "2026-01-02 00:00:00 +0000 UTC", "dt": "2026-01-02 03:04:05 +0000 UTC",
		"dt64": "2026-01-02 03:04:05.123456789 +0000 UTC", "arr": "[a b]", "m": "map[k:v]", "e": "one",
		"id": "61f0c404-5cb3-11e7-907b-a6006ad3dba0", "ip": "127.0.0.1", "nested": "map[k:[1 2]]", "lca": "[1 2]",
	}
	for name, want := range expected {
		if got[name] != want {
			return fmt.Errorf("%s is %q, not %q", name, got[name], want)
		}
	}
	for _, name := range []string{"t", "j", "va", "dy"} {
		if got[name] == "" {
			return fmt.Errorf("%s is missing", name)
		}
	}
	return nil
}

func rows(ctx context.Context, address, compression string) error {
	conn, err := open(address, "reader", compression)
	if err != nil {
		return err
	}
	defer conn.Close()
	result, err := conn.Query(ctx, "SELECT number, toString(number) FROM numbers(200000)")
	if err != nil {
		return err
	}
	defer result.Close()
	var count, number uint64
	var text string
	for ; result.Next(); count++ {
		if err := result.Scan(&number, &text); err != nil {
			return err
		}
		if number != count || text != fmt.Sprint(count) {
			return fmt.Errorf("row %d is %d %q", count, number, text)
		}
	}
	if count != 200000 || result.Err() != nil {
		return fmt.Errorf("%d rows, error %v", count, result.Err())
	}
	return nil
}

func empty(ctx context.Context, address, compression string) error {
	conn, err := open(address, "reader", compression)
	if err != nil {
		return err
	}
	defer conn.Close()
	result, err := conn.Query(ctx, "SELECT 1 AS x WHERE 0")
	if err != nil {
		return err
	}
	defer result.Close()
	if result.Next() || result.Err() != nil {
		return fmt.Errorf("expected no rows and no error, got error %v", result.Err())
	}
	return nil
}

func errors(ctx context.Context, address, compression string) error {
	conn, err := open(address, "reader", compression)
	if err != nil {
		return err
	}
	defer conn.Close()
	for sql, want := range map[string]string{
		"SELECT * FROM no_such_table":                         "(UNKNOWN_TABLE)",
		"SELECT 1 FROM t WHERE":                               "(SYNTAX_ERROR)",
		"SELECT * FROM file('/etc/hostname', 'LineAsString')": "(READONLY)",
	} {
		_, err := conn.Query(ctx, sql)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "DB::Exception") {
			return fmt.Errorf("%s: %v", sql, err)
		}
	}
	wrong, err := clickhouse.Open(&clickhouse.Options{
		Protocol: clickhouse.HTTP, Addr: []string{address}, Auth: clickhouse.Auth{Username: "reader", Password: "wrong"},
		Compression: &clickhouse.Compression{Method: compressions[compression]},
	})
	if err == nil {
		err = wrong.Ping(ctx)
	}
	if err == nil || !strings.Contains(err.Error(), "AUTHENTICATION_FAILED") {
		return fmt.Errorf("wrong password: %v", err)
	}
	return nil
}

func insert(ctx context.Context, address, compression string) error {
	conn, err := open(address, "writer", compression)
	if err != nil {
		return err
	}
	defer conn.Close()
	table := "test_go_" + compression
	defer conn.Exec(context.Background(), "DROP TABLE IF EXISTS "+table)
	err = conn.Exec(ctx, "CREATE TABLE IF NOT EXISTS "+table+" (Timestamp DateTime64(9), TraceId String, "+
		"ServiceName LowCardinality(String), Attributes Map(LowCardinality(String), String), Names Array(String)) "+
		"ENGINE = MergeTree ORDER BY Timestamp")
	if err != nil {
		return err
	}
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO "+table)
	if err != nil {
		return err
	}
	for i := range 10000 {
		err = batch.Append(time.Unix(1767312000, int64(i)), fmt.Sprint(i), "svc", map[string]string{"k": fmt.Sprint(i)}, []string{"a"})
		if err != nil {
			return err
		}
	}
	if err := batch.Send(); err != nil {
		return err
	}
	var count, matching uint64
	sql := "SELECT count(), countIf(Attributes['k'] = TraceId AND toUnixTimestamp64Nano(Timestamp) % 1000000000 = toUInt64(TraceId)) FROM "
	if err := conn.QueryRow(ctx, sql+table).Scan(&count, &matching); err != nil {
		return err
	}
	if count != 10000 || matching != 10000 {
		return fmt.Errorf("%d rows, %d as sent", count, matching)
	}
	return nil
}

// Opens connections as the plugin does: through database/sql, with Go's transparent gzip and many at a time.
func grafana(ctx context.Context, address, compression string) error {
	db := clickhouse.OpenDB(&clickhouse.Options{
		Protocol: clickhouse.HTTP, Addr: []string{address},
		Auth:          clickhouse.Auth{Database: "llm", Username: "reader", Password: "reader"},
		Settings:      clickhouse.Settings{"max_execution_time": 65},
		Compression:   &clickhouse.Compression{Method: compressions[compression]},
		TransportFunc: func(t *http.Transport) (http.RoundTripper, error) { t.DisableCompression = false; return t, nil },
	})
	defer db.Close()
	db.SetMaxOpenConns(20)
	failures := make(chan error)
	for range 20 {
		go func() {
			var now time.Time
			var value float64
			sql := "SELECT toStartOfInterval(toDateTime(now()), INTERVAL 60 second) AS time, avg(number) AS Value FROM numbers(1000) GROUP BY time ORDER BY time"
			failures <- db.QueryRowContext(ctx, sql).Scan(&now, &value)
		}()
	}
	for range 20 {
		if err := <-failures; err != nil {
			return err
		}
	}
	return nil
}
