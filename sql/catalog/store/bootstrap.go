package store

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/pamirdb/pamir/kv"
	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/types"
)

// Oids of what every cluster starts with, below those of users.
const (
	postgresOID       types.OID = 5
	defaultdbOID      types.OID = 16380
	postgresPublicOID types.OID = 16381
)

// bootstrap writes the first generation if there is none. Any node may do it;
// one of them wins.
func (s *Store) bootstrap(ctx context.Context) error {
	err := s.db.Run(ctx, kv.TxnOptions{}, func(t kv.Txn) error {
		var b kv.Batch
		b.Get(generationKey())
		if err := t.Send(ctx, &b); err != nil {
			return err
		}
		if b.Responses[0].Exists {
			return nil
		}
		return writeFirst(ctx, t)
	})
	var taken *api.ConditionFailedError
	if errors.As(err, &taken) {
		return nil
	}
	return err
}

func writeFirst(ctx context.Context, t kv.Txn) error {
	var b kv.Batch
	b.Put(generationKey(), binary.BigEndian.AppendUint64(nil, 1), api.Expect{Kind: api.ExpectAbsent})
	for _, d := range firstDescriptors() {
		val, err := catalog.Encode(d)
		if err != nil {
			return err
		}
		b.Put(descKey(d.Head().ID), val, api.Expect{})
	}
	return t.Send(ctx, &b)
}

func firstDescriptors() []catalog.Descriptor {
	head := func(id types.OID, name string, db types.OID) catalog.Header {
		return catalog.Header{ID: id, Name: name, Database: db, Owner: catalog.RootRoleOID, Version: 1}
	}
	return []catalog.Descriptor{
		&catalog.Role{Header: catalog.Header{ID: catalog.RootRoleOID, Name: "root", Version: 1},
			Super: true, Inherit: true, CreateRole: true, CreateDB: true, Login: true, Replication: true, BypassRLS: true, ConnLimit: -1},
		&catalog.Database{Header: head(postgresOID, "postgres", 0), Encoding: "UTF8", ConnLimit: -1, Public: postgresPublicOID},
		&catalog.Database{Header: head(defaultdbOID, "defaultdb", 0), Encoding: "UTF8", ConnLimit: -1, Public: catalog.PublicOID},
		catalog.PublicSchema(catalog.PublicOID, defaultdbOID),
		catalog.PublicSchema(postgresPublicOID, postgresOID),
	}
}
