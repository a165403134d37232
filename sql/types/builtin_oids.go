package types

// Object identifiers of the built-in types, as PostgreSQL 15 numbers them.
// Drivers hard-code them, so they never change.
const (
	BoolOID                    OID = 16
	ByteaOID                   OID = 17
	QCharOID                   OID = 18
	NameOID                    OID = 19
	Int8OID                    OID = 20
	Int2OID                    OID = 21
	Int2VectorOID              OID = 22
	Int4OID                    OID = 23
	RegProcOID                 OID = 24
	TextOID                    OID = 25
	OIDOID                     OID = 26
	TIDOID                     OID = 27
	XIDOID                     OID = 28
	CIDOID                     OID = 29
	OIDVectorOID               OID = 30
	JSONOID                    OID = 114
	XMLOID                     OID = 142
	XMLArrayOID                OID = 143
	PgNodeTreeOID              OID = 194
	JSONArrayOID               OID = 199
	PgTypeArrayOID             OID = 210
	PgAttributeArrayOID        OID = 270
	XID8ArrayOID               OID = 271
	PgProcArrayOID             OID = 272
	PgClassArrayOID            OID = 273
	PointOID                   OID = 600
	LsegOID                    OID = 601
	PathOID                    OID = 602
	BoxOID                     OID = 603
	PolygonOID                 OID = 604
	LineOID                    OID = 628
	LineArrayOID               OID = 629
	CidrOID                    OID = 650
	CidrArrayOID               OID = 651
	Float4OID                  OID = 700
	Float8OID                  OID = 701
	UnknownOID                 OID = 705
	CircleOID                  OID = 718
	CircleArrayOID             OID = 719
	Macaddr8OID                OID = 774
	Macaddr8ArrayOID           OID = 775
	MoneyOID                   OID = 790
	MoneyArrayOID              OID = 791
	MacaddrOID                 OID = 829
	InetOID                    OID = 869
	BoolArrayOID               OID = 1000
	ByteaArrayOID              OID = 1001
	QCharArrayOID              OID = 1002
	NameArrayOID               OID = 1003
	Int2ArrayOID               OID = 1005
	Int2VectorArrayOID         OID = 1006
	Int4ArrayOID               OID = 1007
	RegProcArrayOID            OID = 1008
	TextArrayOID               OID = 1009
	TIDArrayOID                OID = 1010
	XIDArrayOID                OID = 1011
	CIDArrayOID                OID = 1012
	OIDVectorArrayOID          OID = 1013
	BPCharArrayOID             OID = 1014
	VarCharArrayOID            OID = 1015
	Int8ArrayOID               OID = 1016
	PointArrayOID              OID = 1017
	LsegArrayOID               OID = 1018
	PathArrayOID               OID = 1019
	BoxArrayOID                OID = 1020
	Float4ArrayOID             OID = 1021
	Float8ArrayOID             OID = 1022
	PolygonArrayOID            OID = 1027
	OIDArrayOID                OID = 1028
	ACLItemOID                 OID = 1033
	ACLItemArrayOID            OID = 1034
	MacaddrArrayOID            OID = 1040
	InetArrayOID               OID = 1041
	BPCharOID                  OID = 1042
	VarCharOID                 OID = 1043
	DateOID                    OID = 1082
	TimeOID                    OID = 1083
	TimestampOID               OID = 1114
	TimestampArrayOID          OID = 1115
	DateArrayOID               OID = 1182
	TimeArrayOID               OID = 1183
	TimestampTZOID             OID = 1184
	TimestampTZArrayOID        OID = 1185
	IntervalOID                OID = 1186
	IntervalArrayOID           OID = 1187
	NumericArrayOID            OID = 1231
	CStringArrayOID            OID = 1263
	TimeTZOID                  OID = 1266
	TimeTZArrayOID             OID = 1270
	BitOID                     OID = 1560
	BitArrayOID                OID = 1561
	VarBitOID                  OID = 1562
	VarBitArrayOID             OID = 1563
	NumericOID                 OID = 1700
	RefCursorOID               OID = 1790
	RefCursorArrayOID          OID = 2201
	RegProcedureOID            OID = 2202
	RegOperOID                 OID = 2203
	RegOperatorOID             OID = 2204
	RegClassOID                OID = 2205
	RegTypeOID                 OID = 2206
	RegProcedureArrayOID       OID = 2207
	RegOperArrayOID            OID = 2208
	RegOperatorArrayOID        OID = 2209
	RegClassArrayOID           OID = 2210
	RegTypeArrayOID            OID = 2211
	RecordOID                  OID = 2249
	CStringOID                 OID = 2275
	AnyOID                     OID = 2276
	AnyArrayOID                OID = 2277
	VoidOID                    OID = 2278
	TriggerOID                 OID = 2279
	LanguageHandlerOID         OID = 2280
	InternalOID                OID = 2281
	AnyElementOID              OID = 2283
	RecordArrayOID             OID = 2287
	AnyNonArrayOID             OID = 2776
	TxidSnapshotArrayOID       OID = 2949
	UUIDOID                    OID = 2950
	UUIDArrayOID               OID = 2951
	TxidSnapshotOID            OID = 2970
	PgLSNOID                   OID = 3220
	PgLSNArrayOID              OID = 3221
	AnyEnumOID                 OID = 3500
	TSVectorOID                OID = 3614
	TSQueryOID                 OID = 3615
	TSVectorArrayOID           OID = 3643
	TSQueryArrayOID            OID = 3645
	RegConfigOID               OID = 3734
	RegConfigArrayOID          OID = 3735
	RegDictionaryOID           OID = 3769
	RegDictionaryArrayOID      OID = 3770
	JSONBOID                   OID = 3802
	JSONBArrayOID              OID = 3807
	AnyRangeOID                OID = 3831
	EventTriggerOID            OID = 3838
	Int4rangeOID               OID = 3904
	Int4rangeArrayOID          OID = 3905
	NumrangeOID                OID = 3906
	NumrangeArrayOID           OID = 3907
	TsrangeOID                 OID = 3908
	TsrangeArrayOID            OID = 3909
	TstzrangeOID               OID = 3910
	TstzrangeArrayOID          OID = 3911
	DaterangeOID               OID = 3912
	DaterangeArrayOID          OID = 3913
	Int8rangeOID               OID = 3926
	Int8rangeArrayOID          OID = 3927
	JsonpathOID                OID = 4072
	JsonpathArrayOID           OID = 4073
	RegNamespaceOID            OID = 4089
	RegNamespaceArrayOID       OID = 4090
	RegRoleOID                 OID = 4096
	RegRoleArrayOID            OID = 4097
	RegCollationOID            OID = 4191
	RegCollationArrayOID       OID = 4192
	Int4multirangeOID          OID = 4451
	NummultirangeOID           OID = 4532
	TsmultirangeOID            OID = 4533
	TstzmultirangeOID          OID = 4534
	DatemultirangeOID          OID = 4535
	Int8multirangeOID          OID = 4536
	AnyMultirangeOID           OID = 4537
	AnyCompatibleMultirangeOID OID = 4538
	PgSnapshotOID              OID = 5038
	PgSnapshotArrayOID         OID = 5039
	XID8OID                    OID = 5069
	AnyCompatibleOID           OID = 5077
	AnyCompatibleArrayOID      OID = 5078
	AnyCompatibleNonArrayOID   OID = 5079
	AnyCompatibleRangeOID      OID = 5080
	Int4multirangeArrayOID     OID = 6150
	NummultirangeArrayOID      OID = 6151
	TsmultirangeArrayOID       OID = 6152
	TstzmultirangeArrayOID     OID = 6153
	DatemultirangeArrayOID     OID = 6155
	Int8multirangeArrayOID     OID = 6157
)

// Types without a modifier, for the code that names them often.
var (
	BoolType        = Type{OID: BoolOID, Mod: -1}
	ByteaType       = Type{OID: ByteaOID, Mod: -1}
	QCharType       = Type{OID: QCharOID, Mod: -1}
	NameType        = Type{OID: NameOID, Mod: -1}
	Int8Type        = Type{OID: Int8OID, Mod: -1}
	Int2Type        = Type{OID: Int2OID, Mod: -1}
	Int4Type        = Type{OID: Int4OID, Mod: -1}
	TextType        = Type{OID: TextOID, Mod: -1}
	OIDType         = Type{OID: OIDOID, Mod: -1}
	Float4Type      = Type{OID: Float4OID, Mod: -1}
	Float8Type      = Type{OID: Float8OID, Mod: -1}
	UnknownType     = Type{OID: UnknownOID, Mod: -1}
	BPCharType      = Type{OID: BPCharOID, Mod: -1}
	VarCharType     = Type{OID: VarCharOID, Mod: -1}
	DateType        = Type{OID: DateOID, Mod: -1}
	TimeType        = Type{OID: TimeOID, Mod: -1}
	TimestampType   = Type{OID: TimestampOID, Mod: -1}
	TimestampTZType = Type{OID: TimestampTZOID, Mod: -1}
	IntervalType    = Type{OID: IntervalOID, Mod: -1}
	TimeTZType      = Type{OID: TimeTZOID, Mod: -1}
	NumericType     = Type{OID: NumericOID, Mod: -1}
	UUIDType        = Type{OID: UUIDOID, Mod: -1}
	JSONType        = Type{OID: JSONOID, Mod: -1}
	JSONBType       = Type{OID: JSONBOID, Mod: -1}
	RecordType      = Type{OID: RecordOID, Mod: -1}
	VoidType        = Type{OID: VoidOID, Mod: -1}
	RegClassType    = Type{OID: RegClassOID, Mod: -1}
	RegType         = Type{OID: RegTypeOID, Mod: -1}
	RegProcType     = Type{OID: RegProcOID, Mod: -1}
	TextArrayType   = Type{OID: TextArrayOID, Mod: -1}
	Int4ArrayType   = Type{OID: Int4ArrayOID, Mod: -1}
	Int8ArrayType   = Type{OID: Int8ArrayOID, Mod: -1}
	CStringType     = Type{OID: CStringOID, Mod: -1}
	AnyType         = Type{OID: AnyOID, Mod: -1}
	AnyArrayType    = Type{OID: AnyArrayOID, Mod: -1}
	AnyElementType  = Type{OID: AnyElementOID, Mod: -1}
)

// builtinInfos are the rows of pg_type for built-in scalar, array and pseudo
// types, in the order of their oids.
var builtinInfos = [...]Info{
	{OID: 16, Name: "bool", Len: 1, Kind: 'b', Category: 'B', Preferred: true, Delim: ',', Elem: 0, Array: 1000},
	{OID: 17, Name: "bytea", Len: -1, Kind: 'b', Category: 'U', Preferred: false, Delim: ',', Elem: 0, Array: 1001},
	{OID: 18, Name: "char", Len: 1, Kind: 'b', Category: 'Z', Preferred: false, Delim: ',', Elem: 0, Array: 1002},
	{OID: 19, Name: "name", Len: 64, Kind: 'b', Category: 'S', Preferred: false, Delim: ',', Elem: 18, Array: 1003},
	{OID: 20, Name: "int8", Len: 8, Kind: 'b', Category: 'N', Preferred: false, Delim: ',', Elem: 0, Array: 1016},
	{OID: 21, Name: "int2", Len: 2, Kind: 'b', Category: 'N', Preferred: false, Delim: ',', Elem: 0, Array: 1005},
	{OID: 22, Name: "int2vector", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 21, Array: 1006},
	{OID: 23, Name: "int4", Len: 4, Kind: 'b', Category: 'N', Preferred: false, Delim: ',', Elem: 0, Array: 1007},
	{OID: 24, Name: "regproc", Len: 4, Kind: 'b', Category: 'N', Preferred: false, Delim: ',', Elem: 0, Array: 1008},
	{OID: 25, Name: "text", Len: -1, Kind: 'b', Category: 'S', Preferred: true, Delim: ',', Elem: 0, Array: 1009},
	{OID: 26, Name: "oid", Len: 4, Kind: 'b', Category: 'N', Preferred: true, Delim: ',', Elem: 0, Array: 1028},
	{OID: 27, Name: "tid", Len: 6, Kind: 'b', Category: 'U', Preferred: false, Delim: ',', Elem: 0, Array: 1010},
	{OID: 28, Name: "xid", Len: 4, Kind: 'b', Category: 'U', Preferred: false, Delim: ',', Elem: 0, Array: 1011},
	{OID: 29, Name: "cid", Len: 4, Kind: 'b', Category: 'U', Preferred: false, Delim: ',', Elem: 0, Array: 1012},
	{OID: 30, Name: "oidvector", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 26, Array: 1013},
	{OID: 32, Name: "pg_ddl_command", Len: 8, Kind: 'p', Category: 'P', Preferred: false, Delim: ',', Elem: 0, Array: 0},
	{OID: 114, Name: "json", Len: -1, Kind: 'b', Category: 'U', Preferred: false, Delim: ',', Elem: 0, Array: 199},
	{OID: 142, Name: "xml", Len: -1, Kind: 'b', Category: 'U', Preferred: false, Delim: ',', Elem: 0, Array: 143},
	{OID: 143, Name: "_xml", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 142, Array: 0},
	{OID: 194, Name: "pg_node_tree", Len: -1, Kind: 'b', Category: 'Z', Preferred: false, Delim: ',', Elem: 0, Array: 0},
	{OID: 199, Name: "_json", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 114, Array: 0},
	{OID: 210, Name: "_pg_type", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 71, Array: 0},
	{OID: 269, Name: "table_am_handler", Len: 4, Kind: 'p', Category: 'P', Preferred: false, Delim: ',', Elem: 0, Array: 0},
	{OID: 270, Name: "_pg_attribute", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 75, Array: 0},
	{OID: 271, Name: "_xid8", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 5069, Array: 0},
	{OID: 272, Name: "_pg_proc", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 81, Array: 0},
	{OID: 273, Name: "_pg_class", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 83, Array: 0},
	{OID: 325, Name: "index_am_handler", Len: 4, Kind: 'p', Category: 'P', Preferred: false, Delim: ',', Elem: 0, Array: 0},
	{OID: 600, Name: "point", Len: 16, Kind: 'b', Category: 'G', Preferred: false, Delim: ',', Elem: 701, Array: 1017},
	{OID: 601, Name: "lseg", Len: 32, Kind: 'b', Category: 'G', Preferred: false, Delim: ',', Elem: 600, Array: 1018},
	{OID: 602, Name: "path", Len: -1, Kind: 'b', Category: 'G', Preferred: false, Delim: ',', Elem: 0, Array: 1019},
	{OID: 603, Name: "box", Len: 32, Kind: 'b', Category: 'G', Preferred: false, Delim: ';', Elem: 600, Array: 1020},
	{OID: 604, Name: "polygon", Len: -1, Kind: 'b', Category: 'G', Preferred: false, Delim: ',', Elem: 0, Array: 1027},
	{OID: 628, Name: "line", Len: 24, Kind: 'b', Category: 'G', Preferred: false, Delim: ',', Elem: 701, Array: 629},
	{OID: 629, Name: "_line", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 628, Array: 0},
	{OID: 650, Name: "cidr", Len: -1, Kind: 'b', Category: 'I', Preferred: false, Delim: ',', Elem: 0, Array: 651},
	{OID: 651, Name: "_cidr", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 650, Array: 0},
	{OID: 700, Name: "float4", Len: 4, Kind: 'b', Category: 'N', Preferred: false, Delim: ',', Elem: 0, Array: 1021},
	{OID: 701, Name: "float8", Len: 8, Kind: 'b', Category: 'N', Preferred: true, Delim: ',', Elem: 0, Array: 1022},
	{OID: 705, Name: "unknown", Len: -2, Kind: 'p', Category: 'X', Preferred: false, Delim: ',', Elem: 0, Array: 0},
	{OID: 718, Name: "circle", Len: 24, Kind: 'b', Category: 'G', Preferred: false, Delim: ',', Elem: 0, Array: 719},
	{OID: 719, Name: "_circle", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 718, Array: 0},
	{OID: 774, Name: "macaddr8", Len: 8, Kind: 'b', Category: 'U', Preferred: false, Delim: ',', Elem: 0, Array: 775},
	{OID: 775, Name: "_macaddr8", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 774, Array: 0},
	{OID: 790, Name: "money", Len: 8, Kind: 'b', Category: 'N', Preferred: false, Delim: ',', Elem: 0, Array: 791},
	{OID: 791, Name: "_money", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 790, Array: 0},
	{OID: 829, Name: "macaddr", Len: 6, Kind: 'b', Category: 'U', Preferred: false, Delim: ',', Elem: 0, Array: 1040},
	{OID: 869, Name: "inet", Len: -1, Kind: 'b', Category: 'I', Preferred: true, Delim: ',', Elem: 0, Array: 1041},
	{OID: 1000, Name: "_bool", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 16, Array: 0},
	{OID: 1001, Name: "_bytea", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 17, Array: 0},
	{OID: 1002, Name: "_char", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 18, Array: 0},
	{OID: 1003, Name: "_name", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 19, Array: 0},
	{OID: 1005, Name: "_int2", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 21, Array: 0},
	{OID: 1006, Name: "_int2vector", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 22, Array: 0},
	{OID: 1007, Name: "_int4", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 23, Array: 0},
	{OID: 1008, Name: "_regproc", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 24, Array: 0},
	{OID: 1009, Name: "_text", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 25, Array: 0},
	{OID: 1010, Name: "_tid", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 27, Array: 0},
	{OID: 1011, Name: "_xid", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 28, Array: 0},
	{OID: 1012, Name: "_cid", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 29, Array: 0},
	{OID: 1013, Name: "_oidvector", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 30, Array: 0},
	{OID: 1014, Name: "_bpchar", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 1042, Array: 0},
	{OID: 1015, Name: "_varchar", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 1043, Array: 0},
	{OID: 1016, Name: "_int8", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 20, Array: 0},
	{OID: 1017, Name: "_point", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 600, Array: 0},
	{OID: 1018, Name: "_lseg", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 601, Array: 0},
	{OID: 1019, Name: "_path", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 602, Array: 0},
	{OID: 1020, Name: "_box", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ';', Elem: 603, Array: 0},
	{OID: 1021, Name: "_float4", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 700, Array: 0},
	{OID: 1022, Name: "_float8", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 701, Array: 0},
	{OID: 1027, Name: "_polygon", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 604, Array: 0},
	{OID: 1028, Name: "_oid", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 26, Array: 0},
	{OID: 1033, Name: "aclitem", Len: 12, Kind: 'b', Category: 'U', Preferred: false, Delim: ',', Elem: 0, Array: 1034},
	{OID: 1034, Name: "_aclitem", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 1033, Array: 0},
	{OID: 1040, Name: "_macaddr", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 829, Array: 0},
	{OID: 1041, Name: "_inet", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 869, Array: 0},
	{OID: 1042, Name: "bpchar", Len: -1, Kind: 'b', Category: 'S', Preferred: false, Delim: ',', Elem: 0, Array: 1014},
	{OID: 1043, Name: "varchar", Len: -1, Kind: 'b', Category: 'S', Preferred: false, Delim: ',', Elem: 0, Array: 1015},
	{OID: 1082, Name: "date", Len: 4, Kind: 'b', Category: 'D', Preferred: false, Delim: ',', Elem: 0, Array: 1182},
	{OID: 1083, Name: "time", Len: 8, Kind: 'b', Category: 'D', Preferred: false, Delim: ',', Elem: 0, Array: 1183},
	{OID: 1114, Name: "timestamp", Len: 8, Kind: 'b', Category: 'D', Preferred: false, Delim: ',', Elem: 0, Array: 1115},
	{OID: 1115, Name: "_timestamp", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 1114, Array: 0},
	{OID: 1182, Name: "_date", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 1082, Array: 0},
	{OID: 1183, Name: "_time", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 1083, Array: 0},
	{OID: 1184, Name: "timestamptz", Len: 8, Kind: 'b', Category: 'D', Preferred: true, Delim: ',', Elem: 0, Array: 1185},
	{OID: 1185, Name: "_timestamptz", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 1184, Array: 0},
	{OID: 1186, Name: "interval", Len: 16, Kind: 'b', Category: 'T', Preferred: true, Delim: ',', Elem: 0, Array: 1187},
	{OID: 1187, Name: "_interval", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 1186, Array: 0},
	{OID: 1231, Name: "_numeric", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 1700, Array: 0},
	{OID: 1263, Name: "_cstring", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 2275, Array: 0},
	{OID: 1266, Name: "timetz", Len: 12, Kind: 'b', Category: 'D', Preferred: false, Delim: ',', Elem: 0, Array: 1270},
	{OID: 1270, Name: "_timetz", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 1266, Array: 0},
	{OID: 1560, Name: "bit", Len: -1, Kind: 'b', Category: 'V', Preferred: false, Delim: ',', Elem: 0, Array: 1561},
	{OID: 1561, Name: "_bit", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 1560, Array: 0},
	{OID: 1562, Name: "varbit", Len: -1, Kind: 'b', Category: 'V', Preferred: true, Delim: ',', Elem: 0, Array: 1563},
	{OID: 1563, Name: "_varbit", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 1562, Array: 0},
	{OID: 1700, Name: "numeric", Len: -1, Kind: 'b', Category: 'N', Preferred: false, Delim: ',', Elem: 0, Array: 1231},
	{OID: 1790, Name: "refcursor", Len: -1, Kind: 'b', Category: 'U', Preferred: false, Delim: ',', Elem: 0, Array: 2201},
	{OID: 2201, Name: "_refcursor", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 1790, Array: 0},
	{OID: 2202, Name: "regprocedure", Len: 4, Kind: 'b', Category: 'N', Preferred: false, Delim: ',', Elem: 0, Array: 2207},
	{OID: 2203, Name: "regoper", Len: 4, Kind: 'b', Category: 'N', Preferred: false, Delim: ',', Elem: 0, Array: 2208},
	{OID: 2204, Name: "regoperator", Len: 4, Kind: 'b', Category: 'N', Preferred: false, Delim: ',', Elem: 0, Array: 2209},
	{OID: 2205, Name: "regclass", Len: 4, Kind: 'b', Category: 'N', Preferred: false, Delim: ',', Elem: 0, Array: 2210},
	{OID: 2206, Name: "regtype", Len: 4, Kind: 'b', Category: 'N', Preferred: false, Delim: ',', Elem: 0, Array: 2211},
	{OID: 2207, Name: "_regprocedure", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 2202, Array: 0},
	{OID: 2208, Name: "_regoper", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 2203, Array: 0},
	{OID: 2209, Name: "_regoperator", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 2204, Array: 0},
	{OID: 2210, Name: "_regclass", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 2205, Array: 0},
	{OID: 2211, Name: "_regtype", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 2206, Array: 0},
	{OID: 2249, Name: "record", Len: -1, Kind: 'p', Category: 'P', Preferred: false, Delim: ',', Elem: 0, Array: 2287},
	{OID: 2275, Name: "cstring", Len: -2, Kind: 'p', Category: 'P', Preferred: false, Delim: ',', Elem: 0, Array: 1263},
	{OID: 2276, Name: "any", Len: 4, Kind: 'p', Category: 'P', Preferred: false, Delim: ',', Elem: 0, Array: 0},
	{OID: 2277, Name: "anyarray", Len: -1, Kind: 'p', Category: 'P', Preferred: false, Delim: ',', Elem: 0, Array: 0},
	{OID: 2278, Name: "void", Len: 4, Kind: 'p', Category: 'P', Preferred: false, Delim: ',', Elem: 0, Array: 0},
	{OID: 2279, Name: "trigger", Len: 4, Kind: 'p', Category: 'P', Preferred: false, Delim: ',', Elem: 0, Array: 0},
	{OID: 2280, Name: "language_handler", Len: 4, Kind: 'p', Category: 'P', Preferred: false, Delim: ',', Elem: 0, Array: 0},
	{OID: 2281, Name: "internal", Len: 8, Kind: 'p', Category: 'P', Preferred: false, Delim: ',', Elem: 0, Array: 0},
	{OID: 2283, Name: "anyelement", Len: 4, Kind: 'p', Category: 'P', Preferred: false, Delim: ',', Elem: 0, Array: 0},
	{OID: 2287, Name: "_record", Len: -1, Kind: 'p', Category: 'P', Preferred: false, Delim: ',', Elem: 2249, Array: 0},
	{OID: 2776, Name: "anynonarray", Len: 4, Kind: 'p', Category: 'P', Preferred: false, Delim: ',', Elem: 0, Array: 0},
	{OID: 2949, Name: "_txid_snapshot", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 2970, Array: 0},
	{OID: 2950, Name: "uuid", Len: 16, Kind: 'b', Category: 'U', Preferred: false, Delim: ',', Elem: 0, Array: 2951},
	{OID: 2951, Name: "_uuid", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 2950, Array: 0},
	{OID: 2970, Name: "txid_snapshot", Len: -1, Kind: 'b', Category: 'U', Preferred: false, Delim: ',', Elem: 0, Array: 2949},
	{OID: 3115, Name: "fdw_handler", Len: 4, Kind: 'p', Category: 'P', Preferred: false, Delim: ',', Elem: 0, Array: 0},
	{OID: 3220, Name: "pg_lsn", Len: 8, Kind: 'b', Category: 'U', Preferred: false, Delim: ',', Elem: 0, Array: 3221},
	{OID: 3221, Name: "_pg_lsn", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 3220, Array: 0},
	{OID: 3310, Name: "tsm_handler", Len: 4, Kind: 'p', Category: 'P', Preferred: false, Delim: ',', Elem: 0, Array: 0},
	{OID: 3361, Name: "pg_ndistinct", Len: -1, Kind: 'b', Category: 'Z', Preferred: false, Delim: ',', Elem: 0, Array: 0},
	{OID: 3402, Name: "pg_dependencies", Len: -1, Kind: 'b', Category: 'Z', Preferred: false, Delim: ',', Elem: 0, Array: 0},
	{OID: 3500, Name: "anyenum", Len: 4, Kind: 'p', Category: 'P', Preferred: false, Delim: ',', Elem: 0, Array: 0},
	{OID: 3614, Name: "tsvector", Len: -1, Kind: 'b', Category: 'U', Preferred: false, Delim: ',', Elem: 0, Array: 3643},
	{OID: 3615, Name: "tsquery", Len: -1, Kind: 'b', Category: 'U', Preferred: false, Delim: ',', Elem: 0, Array: 3645},
	{OID: 3642, Name: "gtsvector", Len: -1, Kind: 'b', Category: 'U', Preferred: false, Delim: ',', Elem: 0, Array: 3644},
	{OID: 3643, Name: "_tsvector", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 3614, Array: 0},
	{OID: 3644, Name: "_gtsvector", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 3642, Array: 0},
	{OID: 3645, Name: "_tsquery", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 3615, Array: 0},
	{OID: 3734, Name: "regconfig", Len: 4, Kind: 'b', Category: 'N', Preferred: false, Delim: ',', Elem: 0, Array: 3735},
	{OID: 3735, Name: "_regconfig", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 3734, Array: 0},
	{OID: 3769, Name: "regdictionary", Len: 4, Kind: 'b', Category: 'N', Preferred: false, Delim: ',', Elem: 0, Array: 3770},
	{OID: 3770, Name: "_regdictionary", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 3769, Array: 0},
	{OID: 3802, Name: "jsonb", Len: -1, Kind: 'b', Category: 'U', Preferred: false, Delim: ',', Elem: 0, Array: 3807},
	{OID: 3807, Name: "_jsonb", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 3802, Array: 0},
	{OID: 3831, Name: "anyrange", Len: -1, Kind: 'p', Category: 'P', Preferred: false, Delim: ',', Elem: 0, Array: 0},
	{OID: 3838, Name: "event_trigger", Len: 4, Kind: 'p', Category: 'P', Preferred: false, Delim: ',', Elem: 0, Array: 0},
	{OID: 3904, Name: "int4range", Len: -1, Kind: 'r', Category: 'R', Preferred: false, Delim: ',', Elem: 0, Array: 3905},
	{OID: 3905, Name: "_int4range", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 3904, Array: 0},
	{OID: 3906, Name: "numrange", Len: -1, Kind: 'r', Category: 'R', Preferred: false, Delim: ',', Elem: 0, Array: 3907},
	{OID: 3907, Name: "_numrange", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 3906, Array: 0},
	{OID: 3908, Name: "tsrange", Len: -1, Kind: 'r', Category: 'R', Preferred: false, Delim: ',', Elem: 0, Array: 3909},
	{OID: 3909, Name: "_tsrange", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 3908, Array: 0},
	{OID: 3910, Name: "tstzrange", Len: -1, Kind: 'r', Category: 'R', Preferred: false, Delim: ',', Elem: 0, Array: 3911},
	{OID: 3911, Name: "_tstzrange", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 3910, Array: 0},
	{OID: 3912, Name: "daterange", Len: -1, Kind: 'r', Category: 'R', Preferred: false, Delim: ',', Elem: 0, Array: 3913},
	{OID: 3913, Name: "_daterange", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 3912, Array: 0},
	{OID: 3926, Name: "int8range", Len: -1, Kind: 'r', Category: 'R', Preferred: false, Delim: ',', Elem: 0, Array: 3927},
	{OID: 3927, Name: "_int8range", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 3926, Array: 0},
	{OID: 4072, Name: "jsonpath", Len: -1, Kind: 'b', Category: 'U', Preferred: false, Delim: ',', Elem: 0, Array: 4073},
	{OID: 4073, Name: "_jsonpath", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 4072, Array: 0},
	{OID: 4089, Name: "regnamespace", Len: 4, Kind: 'b', Category: 'N', Preferred: false, Delim: ',', Elem: 0, Array: 4090},
	{OID: 4090, Name: "_regnamespace", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 4089, Array: 0},
	{OID: 4096, Name: "regrole", Len: 4, Kind: 'b', Category: 'N', Preferred: false, Delim: ',', Elem: 0, Array: 4097},
	{OID: 4097, Name: "_regrole", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 4096, Array: 0},
	{OID: 4191, Name: "regcollation", Len: 4, Kind: 'b', Category: 'N', Preferred: false, Delim: ',', Elem: 0, Array: 4192},
	{OID: 4192, Name: "_regcollation", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 4191, Array: 0},
	{OID: 4451, Name: "int4multirange", Len: -1, Kind: 'm', Category: 'R', Preferred: false, Delim: ',', Elem: 0, Array: 6150},
	{OID: 4532, Name: "nummultirange", Len: -1, Kind: 'm', Category: 'R', Preferred: false, Delim: ',', Elem: 0, Array: 6151},
	{OID: 4533, Name: "tsmultirange", Len: -1, Kind: 'm', Category: 'R', Preferred: false, Delim: ',', Elem: 0, Array: 6152},
	{OID: 4534, Name: "tstzmultirange", Len: -1, Kind: 'm', Category: 'R', Preferred: false, Delim: ',', Elem: 0, Array: 6153},
	{OID: 4535, Name: "datemultirange", Len: -1, Kind: 'm', Category: 'R', Preferred: false, Delim: ',', Elem: 0, Array: 6155},
	{OID: 4536, Name: "int8multirange", Len: -1, Kind: 'm', Category: 'R', Preferred: false, Delim: ',', Elem: 0, Array: 6157},
	{OID: 4537, Name: "anymultirange", Len: -1, Kind: 'p', Category: 'P', Preferred: false, Delim: ',', Elem: 0, Array: 0},
	{OID: 4538, Name: "anycompatiblemultirange", Len: -1, Kind: 'p', Category: 'P', Preferred: false, Delim: ',', Elem: 0, Array: 0},
	{OID: 4600, Name: "pg_brin_bloom_summary", Len: -1, Kind: 'b', Category: 'Z', Preferred: false, Delim: ',', Elem: 0, Array: 0},
	{OID: 4601, Name: "pg_brin_minmax_multi_summary", Len: -1, Kind: 'b', Category: 'Z', Preferred: false, Delim: ',', Elem: 0, Array: 0},
	{OID: 5017, Name: "pg_mcv_list", Len: -1, Kind: 'b', Category: 'Z', Preferred: false, Delim: ',', Elem: 0, Array: 0},
	{OID: 5038, Name: "pg_snapshot", Len: -1, Kind: 'b', Category: 'U', Preferred: false, Delim: ',', Elem: 0, Array: 5039},
	{OID: 5039, Name: "_pg_snapshot", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 5038, Array: 0},
	{OID: 5069, Name: "xid8", Len: 8, Kind: 'b', Category: 'U', Preferred: false, Delim: ',', Elem: 0, Array: 271},
	{OID: 5077, Name: "anycompatible", Len: 4, Kind: 'p', Category: 'P', Preferred: false, Delim: ',', Elem: 0, Array: 0},
	{OID: 5078, Name: "anycompatiblearray", Len: -1, Kind: 'p', Category: 'P', Preferred: false, Delim: ',', Elem: 0, Array: 0},
	{OID: 5079, Name: "anycompatiblenonarray", Len: 4, Kind: 'p', Category: 'P', Preferred: false, Delim: ',', Elem: 0, Array: 0},
	{OID: 5080, Name: "anycompatiblerange", Len: -1, Kind: 'p', Category: 'P', Preferred: false, Delim: ',', Elem: 0, Array: 0},
	{OID: 6150, Name: "_int4multirange", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 4451, Array: 0},
	{OID: 6151, Name: "_nummultirange", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 4532, Array: 0},
	{OID: 6152, Name: "_tsmultirange", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 4533, Array: 0},
	{OID: 6153, Name: "_tstzmultirange", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 4534, Array: 0},
	{OID: 6155, Name: "_datemultirange", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 4535, Array: 0},
	{OID: 6157, Name: "_int8multirange", Len: -1, Kind: 'b', Category: 'A', Preferred: false, Delim: ',', Elem: 4536, Array: 0},
}
