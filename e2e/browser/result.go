package browser

// Distribution is that of one list of measurements.
type Distribution struct {
	N   int     `json:"n"`
	Min float64 `json:"min"`
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	Max float64 `json:"max"`
}

// SDKResult is the result of an sdk step.
type SDKResult struct {
	SDKVersion   string     `json:"sdkVersion"`
	Playing      bool       `json:"playing"`
	Ended        int64      `json:"ended"` // ms since 1970; 0: the SDK never said so
	Error        *SDKError  `json:"error"`
	Width        int        `json:"width"`
	Height       int        `json:"height"`
	Frames       int        `json:"frames"`
	FirstFrameMs float64    `json:"firstFrameMs"` // from subscribe
	Posts        []Post     `json:"posts"`
	Gaps         []struct { // times of 300 ms and more without a new picture
		At int64   `json:"at"` // ms since 1970, at its end
		Ms float64 `json:"ms"`
	} `json:"gaps"`
	WorstGapMs  float64  `json:"worstGapMs"`
	Senses      *Senses  `json:"senses"`
	SinceLastMs *float64 `json:"sinceLastMs"` // since the last new picture, when the watching ended
}

// CrowdResult is the result of a crowd step. Posts are those of all clients.
type CrowdResult struct {
	Posts   []Post      `json:"posts"`
	Clients []SDKResult `json:"clients"` // without posts
}

// Post is the answer to an offer.
type Post struct {
	At     int64 `json:"at"` // ms since 1970
	Status int   `json:"status"`
}

// SDKError is what the SDK told the page.
type SDKError struct {
	ErrorCode int    `json:"errorCode"`
	Message   string `json:"message"`
	TraceID   string `json:"traceId"`
}

// PageResult is the result of a page step: what the player says of itself.
type PageResult struct {
	State        string     `json:"state"`
	Title        string     `json:"title"`
	Detail       string     `json:"detail"`
	Notice       string     `json:"notice"`
	Protocol     string     `json:"protocol"` // RTS, FLV or LL-HLS
	Stats        *PageStats `json:"stats"`
	FirstFrameMs float64    `json:"firstFrameMs"`
	Offers       int        `json:"offers"`
	Sessions     int        `json:"sessions"`
	Muted        bool       `json:"muted"`
	Status       int        `json:"status"` // of the page itself
	CSP          string     `json:"csp"`
	Text         string     `json:"text"` // all text that a viewer sees
	Messages     []string   `json:"messages"`
	History      []struct {
		AtMs   float64 `json:"at"`
		State  string  `json:"state"`
		Detail string  `json:"detail"`
	} `json:"history"`
}

// PageStats are the player's figures, as far as tests read them.
type PageStats struct {
	LatencyMs     float64 `json:"latencyMs"`
	BufferMs      float64 `json:"bufferMs"`
	FPS           float64 `json:"fps"`
	Width         int     `json:"width"`
	Height        int     `json:"height"`
	BitrateKbps   float64 `json:"bitrateKbps"`
	PacketsLost   int     `json:"packetsLost"`
	FramesDecoded int     `json:"framesDecoded"`
	Freezes       int     `json:"freezes"`
	Video         string  `json:"video"`
	Audio         string  `json:"audio"`
	Transport     string  `json:"transport"`
	Cipher        string  `json:"cipher"`
}

// JoinResult is the result of a join step.
type JoinResult struct {
	Warm  *OneJoin  `json:"warm"` // with Step.Warm
	Joins []OneJoin `json:"joins"`
}

// OneJoin is one measured join. Times count from the sending of the offer.
type OneJoin struct {
	Error           string   `json:"error,omitempty"`
	AnsweredMs      float64  `json:"answeredMs"`
	ConnectedMs     *float64 `json:"connectedMs"`     // the page was told that ICE and DTLS are up
	FirstPacketMs   *float64 `json:"firstPacketMs"`   // the page was told of the first RTP packet of video
	FirstReceivedMs *float64 `json:"firstReceivedMs"` // the last packet of the first presented picture came
	// how long that picture took from its last packet until it was decoded
	FirstDecodeMs    *float64 `json:"firstDecodeMs"`
	FirstPresentedMs float64  `json:"firstPresentedMs"` // the first decoded frame was handed to the compositor
	FirstCalledMs    float64  `json:"firstCalledMs"`    // the page was told of it
	FirstAgeMs       *float64 `json:"firstAgeMs"`       // how old the first picture was when the page was told of it
	Offers           int      `json:"offers"`
	FPS              float64  `json:"fps"` // decoded per second, from 1 s after the offer to the end
	FramesDecoded    int      `json:"framesDecoded"`
	FramesDropped    int      `json:"framesDropped"`
	Freezes          int      `json:"freezes"`
	FrozenMs         float64  `json:"frozenMs"`
	Gaps             []Gap    `json:"gaps"`    // the longest times without a new picture
	StallMs          float64  `json:"stallMs"` // the longest time for which the page was not run although it was due
	PacketsLost      int      `json:"packetsLost"`
	NACKs            int      `json:"nacks"`
	KeyFrameRequests int      `json:"keyFrameRequests"`
	Unread           int      `json:"unread"` // pictures whose barcode could not be read
	Early            Latency  `json:"early"`
	Late             Latency  `json:"late"`
	PlayerLatencyMs  *float64 `json:"playerLatencyMs"` // what the player itself shows
	PlayerBufferMs   *float64 `json:"playerBufferMs"`
	Width            int      `json:"width"`
	Height           int      `json:"height"`
	Samples          []Sample `json:"samples,omitempty"`
}

// Latency is that from the drawing of a picture to three points in the browser, in ms. Nil: no picture was seen in the
// span.
type Latency struct {
	Called    *Distribution `json:"called"`    // the page's callback for the frame
	Presented *Distribution `json:"presented"` // the frame, decoded, goes to the compositor
	Received  *Distribution `json:"received"`  // the frame's last packet came
}

// Sample is one picture; nil fields were not told by the browser.
type Sample struct {
	Since     float64  `json:"since"` // seconds after the offer
	Called    *float64 `json:"called"`
	Presented *float64 `json:"presented"`
	Received  *float64 `json:"received"`
	DecodeMs  *float64 `json:"decodeMs"`
}

// Gap is a time without a new picture.
type Gap struct {
	Since float64 `json:"since"` // seconds after the offer, at its end
	Ms    float64 `json:"ms"`
}

// StandardResult is the result of a standard step.
type StandardResult struct {
	Plays []StandardPlay `json:"plays"`
}

// StandardPlay is one page that played FLV or HLS. Times count from the player's load().
type StandardPlay struct {
	Version          string   `json:"version"`
	Error            string   `json:"error"`
	Complete         bool     `json:"complete"` // the player knows that nothing more will come
	Ended            bool     `json:"ended"`    // the video element has played all
	FirstPresentedMs float64  `json:"firstPresentedMs"`
	FirstCalledMs    float64  `json:"firstCalledMs"`
	FirstAgeMs       *float64 `json:"firstAgeMs"`
	// with Step.WaitEnded: when the last picture was drawn, ms since 1970
	LastDrawn     *int64        `json:"lastDrawn"`
	Age           *Distribution `json:"age"` // of the presented pictures whose time code was read
	Unread        int           `json:"unread"`
	Freezes       int           `json:"freezes"`
	Waits         int           `json:"waits"` // how often the video element ran out of data
	Gaps          []Gap         `json:"gaps"`
	StallMs       float64       `json:"stallMs"`
	Seconds       float64       `json:"seconds"` // position
	Width         int           `json:"width"`
	Height        int           `json:"height"`
	Frames        int           `json:"frames"`
	FramesDropped int           `json:"framesDropped"`
	Samples       []Sample      `json:"samples,omitempty"`
}
