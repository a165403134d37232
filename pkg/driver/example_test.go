package driver_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"os"

	"github.com/jackc/pgx/v5"

	"github.com/pamirdb/pamir/pkg/driver"
)

// A database in memory lives as long as its handle.
func Example() {
	db, err := sql.Open("pamir", driver.Memory)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("CREATE TABLE peaks (name text PRIMARY KEY, metres int NOT NULL)"); err != nil {
		log.Fatal(err)
	}
	if _, err := db.Exec("INSERT INTO peaks VALUES ($1, $2), ($3, $4)", "Kongur", 7649, "Ismoil Somoni", 7495); err != nil {
		log.Fatal(err)
	}
	rows, err := db.Query("SELECT name, metres FROM peaks ORDER BY metres DESC")
	if err != nil {
		log.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var metres int
		if err := rows.Scan(&name, &metres); err != nil {
			log.Fatal(err)
		}
		fmt.Println(name, metres)
	}
	if err := rows.Err(); err != nil {
		log.Fatal(err)
	}
	// Output:
	// Kongur 7649
	// Ismoil Somoni 7495
}

// A database in a directory is there again the next time; pamir
// start-single-node can serve the same directory.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "pamir-example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for range 2 {
		if err := visit(dir); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// visit 1
	// visit 2
}

func visit(dir string) error {
	node, err := driver.Open(context.Background(), dir, driver.Options{})
	if err != nil {
		return err
	}
	db, err := node.DB()
	if err != nil {
		return err
	}
	if _, err := db.Exec("CREATE TABLE IF NOT EXISTS visits (id serial PRIMARY KEY)"); err != nil {
		return err
	}
	var n int
	if err := db.QueryRow("INSERT INTO visits DEFAULT VALUES RETURNING (SELECT count(*) FROM visits) + 1").Scan(&n); err != nil {
		return err
	}
	fmt.Println("visit", n)
	if err := db.Close(); err != nil {
		return err
	}
	return node.Close()
}

// With pgx a program has what database/sql lacks: batches, COPY, notifications.
func ExampleNode_Config() {
	ctx := context.Background()
	node, err := driver.Open(ctx, driver.Memory, driver.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer node.Close()
	cfg, err := node.Config()
	if err != nil {
		log.Fatal(err)
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "CREATE TABLE squares (n bigint PRIMARY KEY, square bigint)"); err != nil {
		log.Fatal(err)
	}
	copied, err := conn.CopyFrom(ctx, pgx.Identifier{"squares"}, []string{"n", "square"},
		pgx.CopyFromSlice(1000, func(i int) ([]any, error) { return []any{int64(i), int64(i * i)}, nil }))
	if err != nil {
		log.Fatal(err)
	}
	var sum int64
	if err := conn.QueryRow(ctx, "SELECT sum(square)::bigint FROM squares").Scan(&sum); err != nil {
		log.Fatal(err)
	}
	fmt.Println(copied, "rows,", sum)
	// Output:
	// 1000 rows, 332833500
}
