package types

import (
	"encoding/binary"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// zoneAbbrev is what an abbreviation means: an offset east of Greenwich, or what
// a zone calls so at the time in question.
type zoneAbbrev struct {
	east int
	zone string
}

// zoneAbbrevs are the abbreviations that PostgreSQL knows by default, in lower
// case.
var zoneAbbrevs = sync.OnceValue(func() map[string]zoneAbbrev {
	f := strings.Fields(zoneAbbrevFacts)
	m := make(map[string]zoneAbbrev, len(f)/2)
	for i := 0; i+1 < len(f); i += 2 {
		if east, err := strconv.Atoi(f[i+1]); err == nil {
			m[f[i]] = zoneAbbrev{east: east}
		} else {
			m[f[i]] = zoneAbbrev{zone: f[i+1]}
		}
	}
	return m
})

const zoneAbbrevFacts = `
acdt 37800 acsst 37800 acst 34200 act -18000 acwst 31500 adt -10800 aedt 39600 aesst 39600 aest 36000 aft 16200
akdt -28800 akst -32400 almst 25200 almt 21600 amst Asia/Yerevan amt -14400 anast Asia/Anadyr anat Asia/Anadyr
arst America/Argentina/Buenos_Aires art America/Argentina/Buenos_Aires ast -14400 awsst 32400 awst 28800
azost 0 azot -3600 azst Asia/Baku azt Asia/Baku bdst 7200 bdt 21600 bnt 28800 bort 28800 bot -14400 bra -10800
brst -7200 brt -10800 bst 3600 btt 21600 cadt 37800 cast 34200 cct 28800 cdt -18000 cest 7200 cet 3600
cetdst 7200 chadt 49500 chast 45900 chut 36000 ckt Pacific/Rarotonga clst -10800 clt America/Santiago
cot -18000 cst -21600 cxt 25200 davt Antarctica/Davis ddut 36000 easst Pacific/Easter east Pacific/Easter
eat 10800 edt -14400 eest 10800 eet 7200 eetdst 10800 egst 0 egt -3600 est -18000 fet 10800 fjst 46800
fjt 43200 fkst Atlantic/Stanley fkt Atlantic/Stanley fnst -3600 fnt -7200 galt -21600 gamt -32400
gest Asia/Tbilisi get Asia/Tbilisi gft -10800 gilt 43200 gmt 0 gyt America/Guyana hkt 28800 hst -36000
ict 25200 idt 10800 iot Indian/Chagos irkst Asia/Irkutsk irkt Asia/Irkutsk irt 12600 ist 7200 jayt 32400
jst 32400 kdt 36000 kgst 21600 kgt Asia/Bishkek kost Pacific/Kosrae krast Asia/Krasnoyarsk
krat Asia/Krasnoyarsk kst 32400 lhdt Australia/Lord_Howe lhst 37800 ligt 36000 lint Pacific/Kiritimati
lkt Asia/Colombo magst Asia/Magadan magt Asia/Magadan mart -34200 mawt Antarctica/Mawson mdt -21600 mest 7200
mesz 7200 met 3600 metdst 7200 mez 3600 mht 43200 mmt 23400 mpt 36000 msd 14400 msk Europe/Moscow mst -25200
must 18000 mut 14400 mvt 18000 myt 28800 ndt -9000 nft -12600 novst Asia/Novosibirsk novt Asia/Novosibirsk
npt 20700 nst -12600 nut Pacific/Niue nzdt 46800 nzst 43200 nzt 43200 omsst Asia/Omsk omst Asia/Omsk pdt -25200
pet -18000 petst Asia/Kamchatka pett Asia/Kamchatka pgt 36000 pht 28800 pkst 21600 pkt 18000 pmdt -7200
pmst -10800 pont 39600 pst -28800 pwt 32400 pyst -10800 pyt America/Asuncion ret 14400 sadt 37800 sast 7200
sct 14400 sgt Asia/Singapore taht -36000 tft 18000 tjt 18000 tkt Pacific/Fakaofo tmt Asia/Ashgabat tot 46800
trut 36000 tvt 43200 uct 0 ulast 32400 ulat Asia/Ulaanbaatar ut 0 utc 0 uyst -7200 uyt -10800 uzst 21600
uzt 18000 vet America/Caracas vlast Asia/Vladivostok vlat Asia/Vladivostok volt Europe/Volgograd vut 39600
wadt 28800 wakt 43200 wast 25200 wat 3600 wdt 32400 wet 0 wetdst 3600 wft 43200 wgst -7200 wgt -10800 xjt 21600
yakst Asia/Yakutsk yakt Asia/Yakutsk yapt 36000 yekst 21600 yekt Asia/Yekaterinburg z 0 zulu 0`

// location returns the place whose clocks an abbreviation speaks of.
func (a zoneAbbrev) location(abbrev string) *time.Location {
	if a.zone == "" {
		return time.FixedZone(strings.ToUpper(abbrev), a.east)
	}
	loc, err := time.LoadLocation(a.zone)
	if err != nil {
		return time.UTC
	}
	return loc
}

// maxZonePeriods bounds how far back an abbreviation is looked for.
const maxZonePeriods = 40

// abbrevOffset is the offset that a zone used under an abbreviation at a local
// time: of the period that the time is in, else of the last one before in which
// the clocks were called so.
func abbrevOffset(local int64, loc *time.Location, abbrev string) int {
	utc := ToUTC(local, loc)
	now, _ := ZoneOffset(utc, loc)
	t := time.UnixMicro(utc + unixToPgSeconds*MicrosPerSecond).In(loc)
	for range maxZonePeriods {
		name, east := t.Zone()
		if strings.EqualFold(name, abbrev) {
			return east
		}
		start, _ := t.ZoneBounds()
		if start.IsZero() {
			break
		}
		t = start.Add(-time.Second)
	}
	return now
}

var posixZoneForm = regexp.MustCompile(`^([A-Za-z]{3,}|<[A-Za-z0-9+-]+>)([+-]?[0-9]{1,2}(?::?[0-9]{2}){0,2})` +
	`(?:([A-Za-z]{3,}|<[A-Za-z0-9+-]+>)([+-]?[0-9]{1,2}(?::[0-9]{2}){0,2})?((?:,[JM]?[0-9./:+-]+){2})?)?$`)

// usRules are when daylight saving time begins and ends if a POSIX zone does not
// say.
const usRules = ",M3.2.0,M11.1.0"

// posixZone reads a zone as POSIX writes it: a name, what is to be added to its
// time for UTC (so that west is positive), and daylight saving time.
func posixZone(s string) (*time.Location, bool) {
	m := posixZoneForm.FindStringSubmatch(s)
	if m == nil {
		return nil, false
	}
	offset := m[2]
	if !strings.Contains(offset, ":") && len(strings.Trim(offset, "+-")) > 2 {
		return nil, false
	}
	east, ok := posixOffset(offset)
	if !ok || east > 24*3600 || east < -24*3600 {
		return nil, false
	}
	name := strings.ToUpper(strings.Trim(m[1], "<>"))
	if m[3] == "" {
		return time.FixedZone(name, east), true
	}
	rules := m[5]
	if rules == "" {
		rules = usRules
	}
	loc, err := time.LoadLocationFromTZData(s, zoneFile(name, east, m[1]+offset+m[3]+m[4]+rules))
	return loc, err == nil
}

// zoneFile is a file of the zone database that holds nothing but a POSIX rule.
func zoneFile(name string, east int, rule string) []byte {
	head := func(b []byte, times int) []byte {
		b = append(append(b, "TZif2"...), make([]byte, 15)...)
		for _, n := range []int{0, 0, 0, times, 1, len(name) + 1} {
			b = binary.BigEndian.AppendUint32(b, uint32(n))
		}
		return b
	}
	kind := func(b []byte) []byte {
		b = binary.BigEndian.AppendUint32(b, uint32(int32(east)))
		b = append(b, 0, 0)
		return append(append(b, name...), 0)
	}
	b := kind(head(nil, 0))
	b = head(b, 1)
	b = binary.BigEndian.AppendUint64(b, 1<<63) // the rule holds from the first second
	b = append(b, 0)
	b = kind(b)
	return append(append(append(b, '\n'), rule...), '\n')
}

// LoadNumericZone finds the zone of make_timestamptz, where a number counts east
// and has a sign.
func LoadNumericZone(name string) (*time.Location, error) {
	switch {
	case name != "" && isDigit(name[0]):
		return nil, Errorf(CodeInvalidParameterValue, "invalid input syntax for type %s: \"%s\"", "numeric time zone", name).
			WithHint("Numeric time zones must have \"-\" or \"+\" as first character.")
	case name == "" || name[0] != '+' && name[0] != '-':
		return LoadZone(name)
	}
	p := dtParser{s: name}
	if !p.signed() || p.pos != len(name) {
		return nil, Errorf(CodeInvalidParameterValue, "time zone \"%s\" not recognized", name)
	}
	if p.tzBig {
		return nil, Errorf(CodeInvalidParameterValue, "numeric time zone \"%s\" out of range", name)
	}
	return time.FixedZone("", p.zoneEast), nil
}
